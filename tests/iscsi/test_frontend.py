"""Sessions of one target: replacing, counting, ending."""

from __future__ import annotations

from collections.abc import Callable

from iscsi.bench import Bench
from iscsi.initiator import LOGIN_KEYS, NAME, command, login, only, read_10, write_10
from tierce_iscsi.options import IscsiOptions


def test_a_login_with_the_same_identity_replaces_the_session(bench: Bench) -> None:
    old = bench.session()
    new = bench.session()
    assert old.is_closed
    assert only(new.ask(command(read_10(0, 1), 1, read=512))).status == 0
    assert len(bench.published["sessions"]) == 1


def test_it_is_welcomed_only_when_the_old_writes_have_settled(parking: Bench) -> None:
    old = parking.session()
    old.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    new = parking.initiator()
    assert new.start(login(LOGIN_KEYS)) == []
    parking.settle()
    assert only(new.hear()).login_status == 0


def test_it_also_waits_for_a_session_that_was_lost_before(parking: Bench) -> None:
    old = parking.session()
    old.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    old.close()
    parking.loop.turn()
    new = parking.initiator()
    assert new.start(login(LOGIN_KEYS)) == []
    parking.settle()
    assert only(new.hear()).login_status == 0


def test_several_sessions_share_the_target(bench: Bench) -> None:
    sessions = [bench.session(isid=bytes((0x80, 0, 0, 0, 0, i))) for i in range(4)]
    for session in sessions:
        assert only(session.ask(command(read_10(0, 1), 1, read=512))).status == 0
    names = [session["initiator"] for session in bench.published["sessions"]]
    assert names == [NAME] * 4


def test_more_sessions_than_allowed_are_refused(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(session_count_max=1)
    bench.session()
    other = bench.initiator()
    assert other.login(isid=b"\x80\0\0\0\0\7").login_status == 0x0302


def test_other_options_are_for_who_logs_in_from_then_on(bench: Bench) -> None:
    session = bench.session()
    bench.frontend.reconfigure(IscsiOptions(session_count_max=1))
    other = bench.initiator()
    assert other.login(isid=b"\x80\0\0\0\0\7").login_status == 0x0302
    assert only(session.ask(command(read_10(0, 1), 1, read=512))).status == 0


def test_closing_answers_what_is_under_way_first(parking: Bench) -> None:
    session = parking.session()
    session.ask(command(write_10(0, 1), 1, write=512, data=b"c" * 512))
    closed: list[bool] = []
    parking.frontend.close(lambda: closed.append(True))
    assert not closed
    parking.settle()
    assert only(session.hear()).status == 0
    assert session.is_closed
    assert closed == [True]


def test_abandoning_answers_nothing_more(parking: Bench) -> None:
    session = parking.session()
    session.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    parking.frontend.abandon("another target has the volume")
    parking.settle()
    assert session.hear() == []
    assert session.is_closed
