"""What a logical unit is: who uses it, what they hear, what needs no look at anything else."""

from __future__ import annotations

import attrs

from iscsi.standalone import MemoryDevice
from tierce_iscsi.scsi.formatting import Formatting
from tierce_iscsi.scsi.restart import Restart
from tierce_iscsi.scsi.sense import BUS_DEVICE_RESET, POWER_ON, Sense
from tierce_iscsi.scsi.unit import LogicalUnit


@attrs.define(eq=False)
class Port:
    """An initiator's session."""

    initiator: bytes
    attentions: list[Sense] = attrs.field(factory=list)

    def attend(self, sense: Sense) -> None:
        self.attentions.append(sense)


def make_unit(**more: Restart) -> LogicalUnit:
    return LogicalUnit(MemoryDevice(1 << 20), iqn="iqn.x:t", serial="0" * 32, **more)  # type: ignore[arg-type]


def test_who_was_here_before_a_restart_hears_of_it_once() -> None:
    unit = make_unit(restart=Restart([b"one"]))
    one, two = Port(b"one"), Port(b"two")
    for port in (one, two):
        unit.attach(port)
    assert (one.attentions, two.attentions) == ([POWER_ON], [])
    one.attentions.clear()
    unit.detach(one)
    again = Port(b"one")
    unit.attach(again)
    assert again.attentions == []


def test_who_goes_before_it_was_told_is_told_when_it_comes_back() -> None:
    unit = make_unit(restart=Restart([b"one"]))
    for _ in range(2):
        port = Port(b"one")
        unit.attach(port)
        assert port.attentions == [POWER_ON]
        unit.detach(port)


def test_a_reservation_of_the_old_kind_goes_with_its_session_and_with_a_reset() -> None:
    unit = make_unit()
    port = Port(b"one")
    unit.attach(port)
    unit.reservations.set_legacy(b"one")
    unit.reset()
    assert unit.reservations.legacy is None
    unit.reservations.set_legacy(b"one")
    unit.detach(port)
    assert unit.reservations.legacy is None


def test_every_session_of_a_port_is_told_and_no_other() -> None:
    unit = make_unit()
    ports = [Port(b"one"), Port(b"one"), Port(b"two")]
    for port in ports:
        unit.attach(port)
    unit.tell(b"one", BUS_DEVICE_RESET)
    assert [port.attentions for port in ports] == [[BUS_DEVICE_RESET], [BUS_DEVICE_RESET], []]


def test_plain_commands_need_no_look_unless_something_is_to_be_told_or_is_reserved() -> None:
    unit = make_unit()
    one, two = Port(b"one"), Port(b"two")
    assert unit.fast_access(one) == (True, True)
    unit.reservations.set_legacy(b"two")
    assert (unit.fast_access(one), unit.fast_access(two)) == ((False, False), (True, True))
    unit.reservations.set_legacy(None)
    one.attend(BUS_DEVICE_RESET)
    assert unit.fast_access(one) == (False, False)
    unit.formatting = Formatting(
        unit.device,
        can_discard=True,
        soon=unit.soon,
        ended=lambda _reply: None,
        is_aborted=lambda: False,
    )
    assert unit.fast_access(two) == (False, False)
