"""A logical unit: a device with a SCSI face."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tierce import Device
from tierce_iscsi.scsi.cdb import extent_index
from tierce_iscsi.scsi.command import Command, Nexus, Outcome, Reply, check_condition
from tierce_iscsi.scsi.copy import Results
from tierce_iscsi.scsi.formatting import Formatting
from tierce_iscsi.scsi.registrations import Access
from tierce_iscsi.scsi.reservations import Reservations
from tierce_iscsi.scsi.restart import Restart
from tierce_iscsi.scsi.sense import (
    DATA_MISSING,
    INVALID_OPCODE,
    NOT_AS_EXPECTED,
    POWER_ON,
    RESERVATION_CONFLICT,
    UNIT_NOT_SUPPORTED,
    WRITE_PROTECTED,
    CheckConditionError,
    Sense,
    invalid_field,
)
from tierce_iscsi.scsi.table import COMMANDS, NACA, Entry, Needs

_CONFLICT = Reply(status=RESERVATION_CONFLICT)


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
        self.commands = COMMANDS
        self.reservations = reservations or Reservations()
        #: Ends the commands of initiators, then calls back when none of them can change the
        #: medium any more; whoever has the sessions sets it.
        self.abort: Callable[[Collection[bytes], Callable[[], None]], None] = _abort_nothing
        self.restart = restart or Restart()
        #: Calls something when the data thread has looked after everything else; as `abort`.
        self.soon: Callable[[Callable[[], None]], None] = _at_once
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

    def admit(
        self, cdb: bytes, lun: int, nexus: Nexus, *, read: int = 0, write: int = 0
    ) -> Command | Reply:
        """Decide when a command arrives, before any of its data-out is asked for, how much of it
        the command takes.

        That is a matter of its CDB alone, and decided once: nothing that changes until the data are
        here (a unit attention told, a reservation that ends) lets it be done with less. What is
        wrong with the CDB ends it at once, and its data are not waited for.

        Args:
            cdb: 16 bytes.
            lun: The LUN field.
            nexus: Whose it is.
            read: Bytes that the initiator expects to be given.
            write: Bytes that it expects to send.
        """
        try:
            entry = self._entry(cdb, lun)
        except CheckConditionError as error:
            return check_condition(error.sense)
        admitted: Command | Reply
        try:
            admitted = self._admit(entry, cdb, lun, nexus, read, write)
        except CheckConditionError as error:
            admitted = check_condition(error.sense)
        if isinstance(admitted, Reply):
            # What stands in the way of any command is told before what is wrong with this one.
            return self._hindrance(nexus, entry) or admitted
        return admitted

    def _admit(
        self, entry: Entry, cdb: bytes, lun: int, nexus: Nexus, read: int, write: int
    ) -> Command | Reply:
        control = len(entry.usage) - 1
        if cdb[control] & NACA:
            # NORMACA is 0: no error stops what comes behind it (SAM-5 section 5.2).
            raise invalid_field(control)
        wanted = entry.data_out(self, cdb)
        if read and (write or wanted):
            # Bidirectional, which none of a disk's commands is; or the wrong way.
            return check_condition(NOT_AS_EXPECTED)
        if entry.needs is Needs.EXACTLY and write > wanted:
            raise invalid_field(extent_index(cdb))
        if not self._is_enough(entry, wanted, write):
            return check_condition(NOT_AS_EXPECTED, length=wanted)
        return Command(entry, cdb, nexus, lun, wanted, min(wanted, write))

    def _is_enough(self, entry: Entry, wanted: int, announced: int) -> bool:
        """True if a command that takes `wanted` bytes can be done with what is announced."""
        if entry.needs is Needs.BLOCKS and announced % self.block_size == 0:
            return True
        return announced >= wanted or entry.needs is Needs.BYTES

    def execute(self, command: Command) -> Outcome:
        """Do an admitted command whose data-out is here, or say what has to be done for it."""
        hindrance = self._hindrance(command.nexus, command.entry)
        if hindrance is not None:
            return hindrance
        if len(command.data) < command.due:
            return check_condition(DATA_MISSING)
        try:
            return command.entry.handler(self, command)
        except CheckConditionError as error:
            return check_condition(error.sense)

    def _hindrance(self, nexus: Nexus, entry: Entry) -> Reply | None:
        """Return what keeps this session from such a command now, None if nothing does. A unit
        attention is told by it."""
        if not entry.is_any_lun:
            if nexus.attentions:
                return check_condition(nexus.attentions.pop(0))
            if self.formatting is not None:
                return check_condition(self.formatting.sense)
        return None if self.reservations.allows(nexus, entry.access) else _CONFLICT

    def _entry(self, cdb: bytes, lun: int) -> Entry:
        """Return what the table says of the command.

        Raises:
            CheckConditionError: There is no such command, or no such LUN.
        """
        entry = COMMANDS.get(cdb[0])
        if entry is not None and entry.actions is not None:
            entry = entry.actions.get(cdb[1] & 0x1F)
            if entry is None:
                raise invalid_field(1)
        if entry is None or not entry.is_supported(self):
            raise CheckConditionError(INVALID_OPCODE)
        if lun and not entry.is_any_lun:
            raise CheckConditionError(UNIT_NOT_SUPPORTED)
        return entry
