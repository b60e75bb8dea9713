"""A logical unit: a device with a SCSI face."""

from __future__ import annotations

from tierce import Device
from tierce_iscsi.scsi.command import Command, Nexus, Reply, Work, check_condition
from tierce_iscsi.scsi.reservations import Access, Reservations
from tierce_iscsi.scsi.sense import (
    INVALID_OPCODE,
    RESERVATION_CONFLICT,
    UNIT_NOT_SUPPORTED,
    WRITE_PROTECTED,
    CheckConditionError,
    invalid_field,
)
from tierce_iscsi.scsi.table import COMMANDS, Entry

INQUIRY = 0x12


class LogicalUnit:
    """LUN 0 of a target.

    Args:
        device: The top of the volume's pipeline.
        iqn: The target's name.
        serial: 32 hex digits, the volume's uuid.
        vendor: Vendor in INQUIRY.
        product: Product in INQUIRY.
        is_read_only: Refuse writes whatever the device says.
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
    ) -> None:
        self.device = device
        self.iqn = iqn
        self.serial = serial
        self.vendor = vendor
        self.product = product
        self.block_size = device.geometry.block_size
        self.block_count = device.geometry.size_bytes // self.block_size
        capabilities = device.capabilities
        self.is_read_only = is_read_only or capabilities.read_only
        self.can_discard = capabilities.discard
        self.can_compare = capabilities.compare_and_write
        self.commands = COMMANDS
        self.reservations = Reservations()
        #: The sessions that use it.
        self.nexuses: list[Nexus] = []

    def attach(self, nexus: Nexus) -> None:
        """A session begins."""
        self.nexuses.append(nexus)

    def detach(self, nexus: Nexus) -> None:
        """A session is gone: RESERVE(6) goes with it (SPC-2 section 5.5.1)."""
        self.nexuses.remove(nexus)
        if self.reservations.legacy == nexus.initiator:
            self.reservations.legacy = None

    def reset(self) -> None:
        """Forget what a logical unit reset drops (SAM-5 section 6.3.3): RESERVE(6)."""
        self.reservations.legacy = None

    def check_writable(self) -> None:
        """Raise CheckConditionError if nothing may be written."""
        if self.is_read_only:
            raise CheckConditionError(WRITE_PROTECTED)

    def fast_access(self, nexus: Nexus) -> tuple[bool, bool]:
        """Return whether a plain READ, and a plain WRITE, of this session needs no look at
        anything but its range."""
        if nexus.attentions:
            return False, False
        reservations = self.reservations
        can_write = not self.is_read_only
        if reservations.is_idle:
            return True, can_write
        return (
            reservations.allows(nexus, Access.READ),
            can_write and reservations.allows(nexus, Access.WRITE),
        )

    def data_out_length(self, cdb: bytes, lun: int, nexus: Nexus) -> int:
        """Return how many bytes of data-out the command wants, before any is asked for.

        Raises:
            CheckConditionError: The command can't be done as it is; nothing need be sent.
        """
        entry = self._entry(cdb, lun)
        if nexus.attentions or not self.reservations.allows(nexus, entry.access):
            # It ends with that, whatever else is wrong with it.
            return 0
        return entry.data_out(self, cdb)

    def execute(self, command: Command, lun: int) -> Reply | Work:
        """Do a command, or say what has to be done for it."""
        try:
            entry = self._entry(command.cdb, lun)
            if lun and command.cdb[0] == INQUIRY:
                return _absent_inquiry(command)
            if not entry.is_any_lun and command.nexus.attentions:
                return check_condition(command.nexus.attentions.pop(0))
            if not self.reservations.allows(command.nexus, entry.access):
                return Reply(status=RESERVATION_CONFLICT)
            return entry.handler(self, command)
        except CheckConditionError as error:
            return check_condition(error.sense)

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


def _absent_inquiry(command: Command) -> Reply:
    """INQUIRY to a LUN that is not there: qualifier 3, type 1Fh (SPC-4 section 6.6.2)."""
    allocation = int.from_bytes(command.cdb[3:5], "big")
    return Reply(bytes((0x7F, 0, 0x06, 0x02, 31)).ljust(36, b"\0")[:allocation])
