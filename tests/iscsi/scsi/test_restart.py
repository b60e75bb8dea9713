"""Who is told that the target was started anew, and that each is told once."""

from __future__ import annotations

from tierce_iscsi.scsi.restart import TOLD_COUNT_MAX, Restart


def test_who_was_here_is_told_once() -> None:
    restart = Restart([b"a"])
    assert [restart.is_news(b"a"), restart.is_news(b"a")] == [True, False]


def test_who_was_not_here_is_not_told() -> None:
    assert not Restart([b"a"]).is_news(b"b")


def test_everyone_is_told_once_where_it_is_not_known_who_was_here() -> None:
    restart = Restart(None)
    assert [restart.is_news(one) for one in (b"a", b"b", b"a")] == [True, True, False]


def test_who_left_before_it_was_told_is_told_when_it_comes_back() -> None:
    for restart in (Restart([b"a"]), Restart(None)):
        assert restart.is_news(b"a")
        restart.missed(b"a")
        assert restart.is_news(b"a")


def test_those_that_were_not_told_are_owed_it_over_another_restart() -> None:
    restart = Restart([b"a", b"b"])
    restart.is_news(b"a")
    assert restart.owed == {b"b"}


def test_what_is_remembered_is_bounded() -> None:
    restart = Restart(None)
    for number in range(TOLD_COUNT_MAX + 1):
        restart.is_news(b"%d" % number)
    assert restart.is_news(b"0"), "the oldest is told again"
    assert not restart.is_news(b"%d" % TOLD_COUNT_MAX)
