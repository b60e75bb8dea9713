"""The command table: every SCSI command that a logical unit knows.

What is here is what there is: dispatch, the data-out that is asked for, the reservations' rules
and REPORT SUPPORTED OPERATION CODES all read this one table.
"""

from __future__ import annotations

from tierce_iscsi.scsi import (
    blocks,
    copy,
    diagnostics,
    format_unit,
    inquiry,
    mode,
    prout,
    simple,
    supported_opcodes,
    thin,
)
from tierce_iscsi.scsi import reservation_commands as reservations
from tierce_iscsi.scsi.command import Command, Reply
from tierce_iscsi.scsi.entry import Entry, Handler, Needs
from tierce_iscsi.scsi.registrations import Access
from tierce_iscsi.scsi.reservation_commands import handler_of
from tierce_iscsi.scsi.unit import LogicalUnit


def _can_discard(unit: LogicalUnit) -> bool:
    return unit.can_discard


def _can_compare(unit: LogicalUnit) -> bool:
    return unit.can_compare


# Usage bits of what READ and WRITE have from their third byte on: LBA, blocks, group, control.
_LBA_8 = "ffffffffffffffff"
_10, _12, _16 = "ffffffff00ffff00", "ffffffffffffffff0000", f"{_LBA_8}ffffffff0000"
_IN_16 = f"{_LBA_8}ffffffff0000"
_READ, _WRITE = Access.READ, Access.WRITE


def _write(usage: str) -> Entry:
    return Entry(blocks.write, usage, blocks.write_length, Needs.BYTES, _WRITE)


def _write_and_verify(usage: str) -> Entry:
    return Entry(blocks.write_and_verify, usage, blocks.write_length, Needs.BLOCKS, _WRITE)


def _read(usage: str) -> Entry:
    return Entry(blocks.read, usage, access=_READ)


def _verify(usage: str) -> Entry:
    return Entry(blocks.verify, usage, blocks.verify_length, access=_READ)


def _write_same(usage: str) -> Entry:
    return Entry(thin.write_same, usage, thin.write_same_length, Needs.EXACTLY, _WRITE)


def _actions(actions: dict[int, Entry]) -> Entry:
    """An opcode that means something only with a service action."""
    return Entry(simple.unit_ready, "", actions=actions)


def _reserve_out(handler: Handler, action: str) -> Entry:
    kind = "00" if action in {"00", "03", "06"} else "ff"
    usage = f"5f{action}{kind}0000ffffffff00"
    return Entry(handler, usage, reservations.out_length, access=Access.PERSISTENT)


def _reserve_in(handler: Handler, action: str) -> Entry:
    return Entry(handler, f"5e{action}0000000000ffff00", access=Access.PERSISTENT)


def _report_opcodes(unit: LogicalUnit, command: Command) -> Reply:
    """REPORT SUPPORTED OPERATION CODES: of this very table."""
    return supported_opcodes.report_opcodes(COMMANDS, unit, command)


_PERSISTENT_IN = {
    0x00: _reserve_in(reservations.read_keys, "00"),
    0x01: _reserve_in(reservations.read_reservation, "01"),
    0x02: _reserve_in(reservations.report_capabilities, "02"),
    0x03: _reserve_in(reservations.read_full_status, "03"),
}
_PREEMPT_AND_ABORT = handler_of(prout.preempt, has_type=True, aborts=True)
_PERSISTENT_OUT = {
    0x00: _reserve_out(handler_of(prout.register), "00"),
    0x01: _reserve_out(handler_of(prout.reserve, has_type=True), "01"),
    0x02: _reserve_out(handler_of(prout.release, has_type=True), "02"),
    0x03: _reserve_out(handler_of(prout.clear), "03"),
    0x04: _reserve_out(handler_of(prout.preempt, has_type=True), "04"),
    0x05: _reserve_out(_PREEMPT_AND_ABORT, "05"),
    0x06: _reserve_out(handler_of(prout.register), "06"),
}
_COPY_OUT = {
    0x00: Entry(
        *(copy.extended_copy, "83000000000000000000ffffffff0000"),
        *(copy.copy_length,),
        access=_WRITE,
    ),
}
_COPY_RESULTS = {
    0x00: Entry(copy.copy_status, "8400ff00000000000000ffffffff0000"),
    0x03: Entry(copy.operating_parameters, "84030000000000000000ffffffff0000"),
}
_SERVICE_IN_16 = {
    0x10: Entry(simple.read_capacity_16, f"9e10{_IN_16}"),
    0x12: Entry(thin.get_lba_status, f"9e12{_IN_16}", access=_READ),
}
_MAINTENANCE_IN = {
    0x0A: Entry(inquiry.report_port_groups, "a3ea00000000ffffffff0000"),
    0x0C: Entry(_report_opcodes, "a30c87ffffffffffffff0000"),
    0x0D: Entry(supported_opcodes.report_task_functions, "a30d80000000ffffffff0000"),
}

COMMANDS: dict[int, Entry] = {
    0x00: Entry(simple.unit_ready, "000000000000"),
    0x03: Entry(simple.request_sense, "03010000ff00", is_any_lun=True),
    0x04: Entry(format_unit.format_unit, "04f700000000", format_unit.format_length, access=_WRITE),
    0x08: _read("081fffffff00"),
    0x0A: _write("0a1fffffff00"),
    0x12: Entry(inquiry.inquiry, "1201ffffff00", is_any_lun=True),
    0x15: Entry(mode.mode_select, "15110000ff00", mode.mode_select_length, access=_WRITE),
    0x16: Entry(reservations.reserve_6, "160100000000"),
    0x17: Entry(reservations.release_6, "170100000000"),
    0x1A: Entry(mode.mode_sense, "1a08ffffff00", access=_READ),
    0x1B: Entry(simple.start_stop, "1b000000f700", access=_WRITE),
    0x1D: Entry(diagnostics.send_diagnostic, "1de400ffff00", access=_WRITE),
    0x1E: Entry(simple.prevent_allow, "1e0000000300", access=_WRITE),
    0x25: Entry(simple.read_capacity_10, "2500ffffffff00000100"),
    0x28: _read(f"28fa{_10}"),
    0x2A: _write(f"2afa{_10}"),
    0x2E: _write_and_verify(f"2ef2{_10}"),
    0x2F: _verify(f"2ff6{_10}"),
    0x34: Entry(blocks.prefetch, f"3402{_10}", access=_READ),
    0x35: Entry(blocks.synchronize_cache, f"3502{_10}", access=_WRITE),
    0x37: Entry(diagnostics.read_defects_10, "37001f00000000ffff00", access=_READ),
    0x41: _write_same(f"41f0{_10}"),
    0x42: Entry(
        *(thin.unmap, "42010000000000ffff00", thin.unmap_length),
        access=_WRITE,
        is_supported=_can_discard,
    ),
    0x4D: Entry(diagnostics.log_sense, "4d03ffff00ffffffff00"),
    0x55: Entry(mode.mode_select, "55110000000000ffff00", mode.mode_select_length, access=_WRITE),
    0x5A: Entry(mode.mode_sense, "5a08ffff000000ffff00", access=_READ),
    0x5E: _actions(_PERSISTENT_IN),
    0x5F: _actions(_PERSISTENT_OUT),
    0x83: _actions(_COPY_OUT),
    0x84: _actions(_COPY_RESULTS),
    0x88: _read(f"88fa{_16}"),
    0x89: Entry(
        *(blocks.compare_and_write, f"89f8{_LBA_8}000000ff0000", blocks.compare_length),
        *(Needs.EXACTLY, _WRITE),
        is_supported=_can_compare,
    ),
    0x8A: _write(f"8afa{_16}"),
    0x8B: Entry(
        *(blocks.or_write, f"8bf8{_16}", blocks.write_length),
        access=_WRITE,
        is_supported=_can_compare,
    ),
    0x8E: _write_and_verify(f"8ef2{_16}"),
    0x8F: _verify(f"8ff6{_16}"),
    0x90: Entry(blocks.prefetch, f"9002{_16}", access=_READ),
    0x91: Entry(blocks.synchronize_cache, f"9102{_16}", access=_WRITE),
    0x93: _write_same(f"93f9{_16}"),
    0x9E: _actions(_SERVICE_IN_16),
    0xA0: Entry(simple.report_luns, "a000ff000000ffffffff0000", is_any_lun=True),
    0xA3: _actions(_MAINTENANCE_IN),
    0xA8: _read(f"a8fa{_12}"),
    0xAA: _write(f"aafa{_12}"),
    0xAE: _write_and_verify(f"aef2{_12}"),
    0xAF: _verify(f"aff6{_12}"),
    0xB7: Entry(diagnostics.read_defects_12, "b71f00000000ffffffff0000", access=_READ),
}
