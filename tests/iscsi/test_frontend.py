"""Sessions of one target: replacing, counting, ending."""

from __future__ import annotations

from collections.abc import Callable

from iscsi.bench import Bench
from iscsi.initiator import LOGIN_KEYS, NAME, command, login, only, read_10, write_10
from iscsi.test_task_management import GivesUp
from tierce_iscsi.connection_router import Handed
from tierce_iscsi.frontend import LOGIN_COUNT_MAX
from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions

#: RFC 7143, 11.13.5: authorization failure.
NOT_ALLOWED = 0x0202


def test_a_login_with_the_same_identity_replaces_the_session(bench: Bench) -> None:
    old = bench.session()
    new = bench.session()
    assert old.is_closed
    assert only(new.ask(command(read_10(0, 1), 1, read=512))).status == 0
    assert len(bench.published.sessions or ()) == 1


def test_it_is_welcomed_only_when_the_old_writes_are_complete(pending: Bench) -> None:
    old = pending.session()
    old.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    new = pending.initiator()
    assert new.start(login(LOGIN_KEYS)) == []
    pending.complete()
    assert only(new.hear()).login_status == 0


def test_it_also_waits_for_a_session_that_was_lost_before(pending: Bench) -> None:
    old = pending.session()
    old.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    old.close()
    pending.loop.turn()
    new = pending.initiator()
    assert new.start(login(LOGIN_KEYS)) == []
    pending.complete()
    assert only(new.hear()).login_status == 0


def test_several_sessions_share_the_target(bench: Bench) -> None:
    sessions = [bench.session(isid=bytes((0x80, 0, 0, 0, 0, i))) for i in range(4)]
    for session in sessions:
        assert only(session.ask(command(read_10(0, 1), 1, read=512))).status == 0
    names = [session.initiator for session in bench.published.sessions or ()]
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


def test_other_initiators_end_the_sessions_of_those_that_are_taken_out_at_once(
    bench: Bench,
) -> None:
    session = bench.session()
    bench.frontend.reconfigure_volume(IscsiVolumeOptions(initiators=(NAME,)))
    assert only(session.ask(command(read_10(0, 1), 1, read=512))).status == 0
    bench.frontend.reconfigure_volume(IscsiVolumeOptions(initiators=(f"{NAME}-2",)))
    bench.loop.turn()
    assert session.is_closed
    assert bench.published.sessions == ()
    assert bench.initiator().login().login_status == NOT_ALLOWED


def test_closing_answers_what_is_under_way_first(pending: Bench) -> None:
    session = pending.session()
    session.ask(command(write_10(0, 1), 1, write=512, data=b"c" * 512))
    closed: list[bool] = []
    pending.frontend.close(lambda: closed.append(True))
    assert not closed
    pending.complete()
    assert only(session.hear()).status == 0
    assert session.is_closed
    assert closed == [True]


def test_abandoning_answers_nothing_more(pending: Bench) -> None:
    session = pending.session()
    session.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    pending.frontend.abandon("another target has the volume")
    pending.complete()
    assert session.hear() == []
    assert session.is_closed


# -- logins that have to wait ----------------------------------------------------------------------

TRY_AGAIN = 0x0301


def test_a_login_whose_old_session_does_not_complete_is_told_to_try_again(pending: Bench) -> None:
    """Linux waits 15 s for it and starts anew; unanswered, it would never know why."""
    pending.session().ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    new = pending.initiator()
    assert new.start(login(LOGIN_KEYS)) == []
    pending.loop.advance(8)
    assert new.hear() == []
    pending.loop.advance(2)
    assert only(new.hear()).login_status == TRY_AGAIN
    assert new.is_closed
    again = pending.initiator()
    assert again.start(login(LOGIN_KEYS)) == [], "it waits for the same"
    pending.complete()
    assert only(again.hear()).login_status == 0


def test_a_login_timeout_that_is_shorter_answers_too(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(leaves_pending=True, login_timeout_s=2)
    bench.session().ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    new = bench.initiator()
    new.start(login(LOGIN_KEYS))
    bench.loop.advance(3)
    assert only(new.hear()).login_status == TRY_AGAIN


def test_a_login_waits_for_what_the_device_gave_up_of_the_session_before(
    make_bench: Callable[..., Bench],
) -> None:
    device = GivesUp()
    bench = make_bench(device=device)
    bench.session().ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    new = bench.initiator()
    assert new.start(login(LOGIN_KEYS)) == []
    other = bench.session(isid=b"\x80\0\0\0\0\7")
    assert not other.is_closed, "one that replaces none waits for nothing"
    device.forget()
    assert only(new.hear()).login_status == 0


def test_of_two_logins_that_wait_for_one_session_the_newer_gets_in(pending: Bench) -> None:
    pending.session().ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    one, two = pending.initiator(), pending.initiator()
    assert one.start(login(LOGIN_KEYS)) == []
    assert two.start(login(LOGIN_KEYS)) == []
    assert only(one.hear()).login_status == TRY_AGAIN
    pending.complete()
    assert only(two.hear()).login_status == 0
    assert len(pending.sessions()) == 1


def test_a_storm_of_logins_is_answered_each(make_bench: Callable[..., Bench]) -> None:
    """None says its last word, so that all are under way at once."""
    bench = make_bench(session_count_max=4)
    storm = [bench.initiator() for _ in range(LOGIN_COUNT_MAX + 100)]
    statuses = []
    for made in storm:
        statuses += [answer.login_status for answer in made.start(login({}, flags=0x44))]
    assert statuses == [0] * len(storm)
    first = [made.hear() for made in storm[:100]]
    assert [only(heard).login_status for heard in first] == [TRY_AGAIN] * 100
    honest = bench.session(isid=b"\x80\0\0\0\0\7")
    assert not honest.is_closed


def test_a_login_that_comes_while_the_target_ends_is_told_to_try_again(pending: Bench) -> None:
    session = pending.session()
    session.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    waiting = pending.initiator()
    waiting.start(login(LOGIN_KEYS, flags=0x04))
    pending.frontend.close(lambda: None)
    assert only(waiting.hear()).login_status == TRY_AGAIN
    assert pending.initiator().login(isid=b"\x80\0\0\0\0\7").login_status == TRY_AGAIN


def test_what_is_published_is_published_once_for_all_that_come_together(bench: Bench) -> None:
    for number in range(5):
        made = bench.initiator()
        handed = Handed(0, b"", login(LOGIN_KEYS, isid=bytes((0x80, 0, 0, 0, 0, number)))).encode()
        bench.frontend.adopt(made.served, handed)
    before = bench.published
    assert before.sessions is None
    bench.loop.turn()
    assert len(bench.published.sessions or ()) == 5


def test_sessions_that_left_something_in_the_device_keep_their_place(
    make_bench: Callable[..., Bench],
) -> None:
    """Else whoever comes, writes and goes while the volume waits has it hold memory without end."""
    bench = make_bench(leaves_pending=True, session_count_max=3)
    for number in range(3):
        session = bench.session(isid=bytes((0x80, 0, 0, 0, 0, number)))
        session.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
        session.close()
        bench.loop.turn()
    other = bench.initiator()
    assert other.login(isid=b"\x80\0\0\0\0\7").login_status == 0x0302
    mine = bench.initiator()
    assert mine.start(login(LOGIN_KEYS, isid=b"\x80\0\0\0\0\1")) == [], "it waits for its own"
    bench.complete()
    assert only(mine.hear()).login_status == 0
    assert bench.initiator().login(isid=b"\x80\0\0\0\0\7").login_status == 0
