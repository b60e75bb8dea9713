"""A logical unit: a device with a SCSI face. tierce_iscsi.scsi.device_server does its commands."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tierce import Device
from tierce_iscsi.scsi.command import Nexus
from tierce_iscsi.scsi.copy_results import Results
from tierce_iscsi.scsi.formatting import Formatting
from tierce_iscsi.scsi.registrations import Access
from tierce_iscsi.scsi.reservations import Reservations
from tierce_iscsi.scsi.restart import Restart
from tierce_iscsi.scsi.sense import (
    CAPACITY_CHANGED,
    POWER_ON,
    WRITE_PROTECTED,
    CheckConditionError,
    Sense,
)


def _at_once(call: Callable[[], None]) -> None:
    call()


def _abort_nothing(_initiators: Collection[bytes], done: Callable[[], None]) -> None:
    done()


class LogicalUnit:
    """LUN 0 of a target.

    Args:
        device: The top of the volume's pipeline.
        iqn: The target's name.
        serial: 32 hex digits, the volume's uuid.
        vendor: Vendor in INQUIRY.
        product: Product in INQUIRY.
        is_read_only: Refuse writes whatever the device says.
        physical_bytes: Bytes of a physical block; at least a logical block is one.
        reservations: Who may do what.
        restart: Who has to hear that the target was started anew.
        abort: Ends the commands of initiators, then calls back when none of them can change the
            medium any more.
        soon: Calls something when the data thread has looked after everything else.
    """

    def __init__(
        self,
        device: Device,
        *,
        iqn: str,
        serial: str,
        vendor: str = "TIERCE",
        product: str = "VOLUME",
        is_read_only: bool = False,
        physical_bytes: int = 0,
        reservations: Reservations | None = None,
        restart: Restart | None = None,
        abort: Callable[[Collection[bytes], Callable[[], None]], None] = _abort_nothing,
        soon: Callable[[Callable[[], None]], None] = _at_once,
    ) -> None:
        self.device = device
        self.iqn = iqn
        self.serial = serial
        self.vendor = vendor
        self.product = product
        self.block_size = device.geometry.block_size
        self.physical_bytes = max(physical_bytes, self.block_size)
        self.block_count = device.geometry.size_bytes // self.block_size
        capabilities = device.capabilities
        self.is_read_only = is_read_only or capabilities.read_only
        self.can_discard = capabilities.discard
        self.can_compare = capabilities.compare_and_write
        self.reservations = reservations or Reservations()
        self.abort = abort
        self.restart = restart or Restart()
        self.soon = soon
        #: Of copies that sessions have made.
        self.copies = Results()
        #: A format under way: nobody is served meanwhile.
        self.formatting: Formatting | None = None
        #: The sessions that use it.
        self.nexuses: list[Nexus] = []

    def attach(self, nexus: Nexus) -> None:
        """A session begins."""
        self.nexuses.append(nexus)
        if self.restart.is_news(nexus.initiator):
            nexus.attend(POWER_ON)

    def detach(self, nexus: Nexus) -> None:
        """A session is gone: RESERVE(6) goes with it (SPC-2 section 5.5.1)."""
        self.nexuses.remove(nexus)
        self.copies.forget(nexus)
        if self.reservations.legacy == nexus.initiator:
            self.reservations.set_legacy(None)
        if POWER_ON in nexus.attentions:
            self.restart.missed(nexus.initiator)

    def tell(self, identity: bytes, sense: Sense) -> None:
        """Give the sessions of one initiator port a unit attention."""
        for nexus in self.nexuses:
            if nexus.initiator == identity:
                nexus.attend(sense)

    def resized(self, size_bytes: int) -> None:
        """The device has this size now: every session hears CAPACITY DATA HAS CHANGED."""
        self.block_count = size_bytes // self.block_size
        for nexus in self.nexuses:
            nexus.attend(CAPACITY_CHANGED)

    def reset(self) -> None:
        """Forget what a logical unit reset drops (SAM-5 section 6.3.3): RESERVE(6)."""
        self.reservations.set_legacy(None)

    def check_writable(self) -> None:
        """Raise CheckConditionError if nothing may be written."""
        if self.is_read_only:
            raise CheckConditionError(WRITE_PROTECTED)

    def fast_access(self, nexus: Nexus) -> tuple[bool, bool]:
        """Return whether a plain READ, and a plain WRITE, of this session needs no look at
        anything but its range."""
        if nexus.attentions or self.formatting is not None:
            return False, False
        reservations = self.reservations
        can_write = not self.is_read_only
        if reservations.is_idle:
            return True, can_write
        return (
            reservations.allows(nexus, Access.READ),
            can_write and reservations.allows(nexus, Access.WRITE),
        )
