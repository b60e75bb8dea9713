"""The judge of the durability tests must itself be able to say no."""

from __future__ import annotations

from system.register import SECTOR, Register, stamp

SIZE = 8 * SECTOR


def written(register: Register, sector: int, *, is_good: bool) -> bytes:
    data = register.submit(sector, 1)
    register.answered(sector, 1, is_good=is_good)
    return data


def test_an_acknowledged_write_must_be_there() -> None:
    register = Register.of(7, SIZE)
    data = written(register, 0, is_good=True)
    assert register.check(0, data) == []
    assert register.check(0, bytes(SECTOR)) != []


def test_an_unanswered_write_may_be_there_or_not() -> None:
    for shows_new in (False, True):
        register = Register.of(7, SIZE)
        old = written(register, 0, is_good=True)
        new = written(register, 0, is_good=False)
        assert register.check(0, new if shows_new else old) == []


def test_what_was_read_once_is_not_read_older_again() -> None:
    register = Register.of(7, SIZE)
    old = written(register, 0, is_good=True)
    new = written(register, 0, is_good=False)
    assert register.check(0, new) == []
    assert register.check(0, old) != []


def test_what_failed_and_was_seen_to_be_absent_does_not_appear_later() -> None:
    register = Register.of(7, SIZE)
    old = written(register, 0, is_good=True)
    new = written(register, 0, is_good=False)
    assert register.check(0, old) == []
    assert register.check(0, new) != []


def test_a_write_in_flight_may_be_read_or_not_but_not_undone_by_a_later_read() -> None:
    register = Register.of(7, SIZE)
    old = written(register, 0, is_good=True)
    new = register.submit(0, 1)
    assert register.check(0, old) == []
    assert register.check(0, new) == []
    assert register.check(0, old) != []
    register.answered(0, 1, is_good=False)
    assert register.check(0, new) == []


def test_a_read_may_show_what_was_alive_when_it_began_or_came_since() -> None:
    for moment in range(3):
        register = Register.of(7, SIZE)
        data = [written(register, 0, is_good=True)]
        reading = register.begin_read(0, 1)
        data += [written(register, 0, is_good=True) for _ in range(2)]
        assert register.finish_read(reading, data[moment]) == []
        assert (register.check(0, data[moment]) == []) == (moment == 2)


def test_a_read_that_began_after_a_version_died_must_not_show_it() -> None:
    register = Register.of(7, SIZE)
    old = written(register, 0, is_good=True)
    written(register, 0, is_good=True)
    reading = register.begin_read(0, 1)
    written(register, 0, is_good=True)
    assert register.finish_read(reading, old) != []


def test_a_discard_is_a_version_that_reads_as_zeroes() -> None:
    register = Register.of(7, SIZE)
    old = written(register, 0, is_good=True)
    register.submit_discard(0, 1)
    assert register.check(0, old) == []
    register.answered(0, 1, is_good=True)
    assert register.check(0, old) != []
    assert register.check(0, bytes(SECTOR)) == []
    assert register.check(0, written(register, 0, is_good=True)) == []
    assert register.check(0, bytes(SECTOR)) != []


def test_a_lost_session_leaves_its_writes_uncertain_and_its_sectors_free() -> None:
    register = Register.of(7, SIZE)
    new = register.submit(0, 2)
    assert not register.is_free(1, 1)
    register.forget_in_flight()
    assert register.is_free(0, 2)
    assert register.check(0, new[:SECTOR] + bytes(SECTOR)) == []
    assert register.check(0, new) != []


def test_another_sector_another_volume_and_garbage_are_named() -> None:
    register = Register.of(7, SIZE)
    written(register, 0, is_good=True)
    for data, name in (
        (stamp(7, 1, 1), "of sector 1"),
        (stamp(8, 0, 1), "of volume 8"),
        (b"\xff" * SECTOR, "nobody wrote"),
        (bytes(SECTOR), "zeroes"),
    ):
        assert name in register.check(0, data)[0]


def test_one_wrong_sector_is_enough() -> None:
    register = Register.of(7, SIZE)
    data = register.submit(0, 8)
    register.answered(0, 8, is_good=True)
    wrong = register.check(0, data[:SECTOR] + bytes(SECTOR) + data[2 * SECTOR :])
    assert len(wrong) == 1
    assert wrong[0].startswith("sector 1 ")
