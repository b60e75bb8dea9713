"""A logical unit: a device with a SCSI face. The command table is here."""

from __future__ import annotations

import struct
from collections.abc import Callable

import attrs

from tierce import Device
from tierce_iscsi.scsi import blocks, inquiry, mode, thin
from tierce_iscsi.scsi.cdb import be32
from tierce_iscsi.scsi.command import Command, Handler, Nexus, Reply, Work, check_condition
from tierce_iscsi.scsi.sense import (
    INVALID_OPCODE,
    NO_SENSE,
    UNIT_NOT_SUPPORTED,
    WRITE_PROTECTED,
    CheckConditionError,
    invalid_field,
)


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

    def reset(self) -> None:
        """Forget what a logical unit reset drops (SAM-5 section 6.3.3)."""

    def check_writable(self) -> None:
        """Raise CheckConditionError if nothing may be written."""
        if self.is_read_only:
            raise CheckConditionError(WRITE_PROTECTED)

    def data_out_length(self, cdb: bytes, lun: int) -> int:
        """Return how many bytes of data-out the command wants, before any is asked for.

        Raises:
            CheckConditionError: The command can't be done as it is; nothing need be sent.
        """
        return self.entry(cdb, lun).data_out(self, cdb)

    def can_read_fast(self, nexus: Nexus) -> bool:
        """True if a plain READ of this session needs no look at anything but its range."""
        return not nexus.attentions

    def can_write_fast(self, nexus: Nexus) -> bool:
        """True if a plain WRITE of this session needs no look at anything but its range."""
        return not nexus.attentions and not self.is_read_only

    def entry(self, cdb: bytes, lun: int) -> Entry:
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

    def execute(self, command: Command, lun: int) -> Reply | Work:
        """Do a command, or say what has to be done for it."""
        opcode = command.cdb[0]
        try:
            entry = self.entry(command.cdb, lun)
            if lun and opcode == 0x12:
                return _absent_inquiry(command)
            if command.nexus.attentions and not entry.is_any_lun:
                return check_condition(command.nexus.attentions.pop(0))
            return entry.handler(self, command)
        except CheckConditionError as error:
            return check_condition(error.sense)


def _absent_inquiry(command: Command) -> Reply:
    """INQUIRY to a LUN that is not there: qualifier 3, type 1Fh (SPC-4 section 6.6.2)."""
    return Reply(bytes((0x7F, 0, 0x06, 0x02, 31)).ljust(36, b"\0")[: command.cdb[4]])


# -- commands that need no module of their own -----------------------------------------------------


def _test_unit_ready(_unit: LogicalUnit, _command: Command) -> Reply:
    return Reply()


def _request_sense(_unit: LogicalUnit, command: Command) -> Reply:
    """REQUEST SENSE: a pending unit attention, else NO SENSE. Fixed format only."""
    if command.cdb[1] & 0x01:
        raise invalid_field(1)
    attentions = command.nexus.attentions
    sense = attentions.pop(0) if attentions else NO_SENSE
    return Reply(sense.encode()[: command.cdb[4]])


def _report_luns(_unit: LogicalUnit, command: Command) -> Reply:
    """REPORT LUNS: LUN 0 (SPC-4 section 6.33)."""
    if command.cdb[2] not in {0x00, 0x01, 0x02}:
        raise invalid_field(2)
    luns = b"" if command.cdb[2] == 0x01 else bytes(8)
    return Reply((struct.pack(">I4x", len(luns)) + luns)[: be32(command.cdb, 6)])


def _read_capacity_10(unit: LogicalUnit, command: Command) -> Reply:
    """READ CAPACITY(10): PMI is obsolete, and an LBA without it means nothing."""
    if not command.cdb[8] & 0x01 and be32(command.cdb, 2):
        raise invalid_field(2)
    return Reply(struct.pack(">II", min(unit.block_count - 1, 0xFFFFFFFF), unit.block_size))


def _read_capacity_16(unit: LogicalUnit, command: Command) -> Reply:
    """READ CAPACITY(16), with LBPME and LBPRZ where blocks can be unmapped."""
    thin_bits = 0xC000 if unit.can_discard else 0
    physical = max(0, (4096 // unit.block_size).bit_length() - 1)
    data = struct.pack(">QIBBH16x", unit.block_count - 1, unit.block_size, 0, physical, thin_bits)
    return Reply(data[: be32(command.cdb, 10)])


def _start_stop(_unit: LogicalUnit, command: Command) -> Reply:
    """START STOP UNIT: always started; a medium that is not removable can't be ejected."""
    if command.cdb[4] & 0x02:
        raise invalid_field(4)
    return Reply()


def _prevent_allow(_unit: LogicalUnit, _command: Command) -> Reply:
    """PREVENT ALLOW MEDIUM REMOVAL: nobody can remove it anyway."""
    return Reply()


# -- the table -------------------------------------------------------------------------------------

_Length = Callable[[LogicalUnit, bytes], int]


def _no_data(_unit: LogicalUnit, _cdb: bytes) -> int:
    return 0


def _always(_unit: LogicalUnit) -> bool:
    return True


@attrs.frozen
class Entry:
    """One command.

    Attributes:
        handler: What does it.
        usage: The bits of its CDB that are looked at, as REPORT SUPPORTED OPERATION CODES
            gives them (SPC-4 section 6.35.3); its length is the CDB's.
        data_out: Bytes of data-out that it wants.
        is_any_lun: Answers for a LUN that is not there too, and past a unit attention.
        is_write: Changes the medium.
        is_supported: False where the device can't do it.
        actions: By service action, for an opcode that has them.
    """

    handler: Handler
    usage: bytes
    data_out: _Length = _no_data
    is_any_lun: bool = False
    is_write: bool = False
    is_supported: Callable[[LogicalUnit], bool] = _always
    actions: dict[int, Entry] | None = None


def _usage(text: str) -> bytes:
    return bytes.fromhex(text)


_LBA4, _LBA8 = "ffffffff", "ffffffffffffffff"
_RW10, _RW12, _RW16 = f"{_LBA4}3fffff00", f"{_LBA4}ffffffff3f00", f"{_LBA8}ffffffff3f00"


def _can_discard(unit: LogicalUnit) -> bool:
    return unit.can_discard


def _can_compare(unit: LogicalUnit) -> bool:
    return unit.can_compare


def _write_entry(handler: Handler, usage: str, data_out: _Length = blocks.write_length) -> Entry:
    return Entry(handler, _usage(usage), data_out, is_write=True)


_SERVICE_IN_16 = {
    0x10: Entry(_read_capacity_16, _usage(f"9e10{_LBA8}ffffffff0000")),
    0x12: Entry(thin.get_lba_status, _usage(f"9e12{_LBA8}ffffffff0000")),
}


def _parent(actions: dict[int, Entry]) -> Entry:
    """An opcode that means something only with a service action."""
    return Entry(_test_unit_ready, b"", actions=actions)


COMMANDS: dict[int, Entry] = {
    0x00: Entry(_test_unit_ready, _usage("000000000000")),
    0x03: Entry(_request_sense, _usage("03010000ff00"), is_any_lun=True),
    0x08: Entry(blocks.read, _usage("081fffffff00")),
    0x0A: _write_entry(blocks.write, "0a1fffffff00"),
    0x12: Entry(inquiry.inquiry, _usage("1201ffffff00"), is_any_lun=True),
    0x15: Entry(mode.mode_select, _usage("15110000ff00"), mode.mode_select_length),
    0x1A: Entry(mode.mode_sense, _usage("1a08ffffff00")),
    0x1B: Entry(_start_stop, _usage("1b010fff0000")),
    0x1E: Entry(_prevent_allow, _usage("1e0000000300")),
    0x25: Entry(_read_capacity_10, _usage("2500ffffffff00000100")),
    0x28: Entry(blocks.read, _usage(f"28fa{_RW10}")),
    0x2A: _write_entry(blocks.write, f"2afa{_RW10}"),
    0x2E: _write_entry(blocks.write_and_verify, f"2ef6{_RW10}"),
    0x2F: Entry(blocks.verify, _usage(f"2ff6{_RW10}"), blocks.verify_length),
    0x34: Entry(blocks.prefetch, _usage(f"3402{_RW10}")),
    0x35: Entry(blocks.synchronize_cache, _usage(f"3502{_RW10}")),
    0x41: _write_entry(thin.write_same, f"41f8{_RW10}", thin.write_same_length),
    0x42: Entry(
        *(thin.unmap, _usage("4201000000003fffff00"), thin.unmap_length),
        is_write=True,
        is_supported=_can_discard,
    ),
    0x55: Entry(mode.mode_select, _usage("55110000000000ffff00"), mode.mode_select_length),
    0x5A: Entry(mode.mode_sense, _usage("5a08ffff000000ffff00")),
    0x88: Entry(blocks.read, _usage(f"88fa{_RW16}")),
    0x89: Entry(
        *(blocks.compare_and_write, _usage(f"89f8{_LBA8}000000ff3f00"), blocks.compare_length),
        is_write=True,
        is_supported=_can_compare,
    ),
    0x8A: _write_entry(blocks.write, f"8afa{_RW16}"),
    0x8B: Entry(
        *(blocks.or_write, _usage(f"8bf8{_RW16}"), blocks.write_length),
        is_write=True,
        is_supported=_can_compare,
    ),
    0x8E: _write_entry(blocks.write_and_verify, f"8ef6{_RW16}"),
    0x8F: Entry(blocks.verify, _usage(f"8ff6{_RW16}"), blocks.verify_length),
    0x90: Entry(blocks.prefetch, _usage(f"9002{_RW16}")),
    0x91: Entry(blocks.synchronize_cache, _usage(f"9102{_RW16}")),
    0x93: _write_entry(thin.write_same, f"93f9{_RW16}", thin.write_same_length),
    0x9E: _parent(_SERVICE_IN_16),
    0xA0: Entry(_report_luns, _usage("a000ff000000ffffffff0000"), is_any_lun=True),
    0xA8: Entry(blocks.read, _usage(f"a8fa{_RW12}")),
    0xAA: _write_entry(blocks.write, f"aafa{_RW12}"),
    0xAE: _write_entry(blocks.write_and_verify, f"aef6{_RW12}"),
    0xAF: Entry(blocks.verify, _usage(f"aff6{_RW12}"), blocks.verify_length),
}
