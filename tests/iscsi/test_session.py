"""A session's numbers, and what it is told. No socket."""

from __future__ import annotations

from tierce_iscsi.scsi.sense import Key, Sense
from tierce_iscsi.session import ATTENTION_COUNT_MAX, Session
from tierce_iscsi.text import RECV_SEGMENT_BYTES, Negotiation


def make_session(exp_cmd_sn: int = 1, **terms: int) -> Session:
    agreed = Negotiation(initiator_name="iqn.x:one", **terms)  # type: ignore[arg-type]
    return Session(agreed, b"\0" * 6, 1, 0, 1, exp_cmd_sn, 8)


def test_the_window_closes_as_tasks_come_and_never_goes_back() -> None:
    session = make_session()
    assert session.window(0) == 8
    assert session.window(3) == 8, "what was told once stays"
    session.exp_cmd_sn += 3
    assert session.window(3) == 8
    assert session.window(2) == 9


def test_numbers_go_round() -> None:
    session = make_session(0xFFFFFFFE)
    assert session.window(0) == 5
    session.exp_cmd_sn = 1
    assert session.window(0) == 8
    assert session.is_in_window(8)
    assert not session.is_in_window(9)
    assert not session.is_in_window(0)


def test_an_attention_is_told_once_and_only_so_many_wait() -> None:
    session = make_session()
    for code in (0, *range(ATTENTION_COUNT_MAX + 3)):
        session.attend(Sense(Key.UNIT_ATTENTION, code))
    assert len(session.attentions) == ATTENTION_COUNT_MAX
    assert len(set(session.attentions)) == ATTENTION_COUNT_MAX


def test_what_travels_in_one_pdu_changes_with_what_the_initiator_takes() -> None:
    session = make_session(segment_bytes_max=1 << 24, burst_bytes_max=1 << 20)
    assert session.read_bytes_max == RECV_SEGMENT_BYTES
    session.terms.segment_bytes_max = 512
    session.renegotiated()
    assert session.read_bytes_max == 512
    session.terms.has_immediate_data = False
    session.renegotiated()
    assert session.immediate_bytes_max == 0
