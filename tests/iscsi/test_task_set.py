"""Commands that are given up: when they end, who waits, who is told. No socket is in it."""

from __future__ import annotations

import pytest

from iscsi.initiator import command, only, write_10
from iscsi.parts import Parts, PendingDevice, make_parts
from tierce_iscsi.scsi.sense import TASK_ABORTED
from tierce_iscsi.tasks import Drain


def ask_for_data(parts: Parts, tag: int = 5) -> None:
    """Begin a WRITE of one block whose data are asked for."""
    asked = command(write_10(0, 1), 1, tag=tag, write=512)
    parts.commands.command(asked[:48], memoryview(b""))
    only(parts.sent())


def write_pending(parts: Parts, tag: int = 5) -> None:
    """Begin a WRITE of one block that the device has."""
    asked = command(write_10(0, 1), 1, tag=tag, write=512, data=bytes(512))
    parts.commands.command(asked[:48], memoryview(asked)[48:])


def test_what_waits_for_data_ends_at_once_and_its_memory_comes_back() -> None:
    parts = make_parts()
    ask_for_data(parts)
    done: list[bool] = []
    drain = Drain(lambda: done.append(True), issuer=parts.tasks)
    parts.tasks.give_up_all(drain)
    drain.start()
    assert done == [True]
    assert not parts.tasks.by_tag
    assert not parts.sent(), "the answer to the function says it"
    assert drain.over == [5]
    parts.stream.dispose()
    assert parts.memory.left == parts.memory.bytes_max


@pytest.mark.parametrize("is_pending", [False, True])
def test_what_another_ends_is_told_as_task_aborted(*, is_pending: bool) -> None:
    device = PendingDevice()
    parts, other = make_parts(device), make_parts()
    (write_pending if is_pending else ask_for_data)(parts)
    drain = Drain(lambda: None, issuer=other.tasks)
    parts.tasks.give_up_all(drain)
    drain.start()
    device.complete()
    answer = only(parts.sent())
    assert (answer.tag, answer.status) == (5, TASK_ABORTED)
    assert drain.over == []


@pytest.mark.parametrize("is_pending", [False, True])
def test_of_a_session_that_is_gone_nobody_is_told(*, is_pending: bool) -> None:
    device = PendingDevice()
    parts = make_parts(device)
    (write_pending if is_pending else ask_for_data)(parts)
    drain = Drain(lambda: None)
    parts.tasks.give_up_all(drain)
    drain.start()
    device.complete()
    assert not parts.sent()
    assert drain.over == []


def test_what_the_device_has_is_waited_for_and_its_tag_stays_in_use() -> None:
    device = PendingDevice()
    parts = make_parts(device)
    write_pending(parts)
    done: list[bool] = []
    drain = Drain(lambda: done.append(True), issuer=parts.tasks)
    parts.tasks.give_up_all(drain)
    drain.start()
    assert (done, list(parts.tasks.by_tag)) == ([], [5])
    device.complete()
    assert (done, list(parts.tasks.by_tag)) == ([True], [])
    assert drain.over == [5]
    assert not parts.sent()


def test_one_ender_that_wants_it_told_is_not_enough_if_our_own_initiator_wants_it_too() -> None:
    device = PendingDevice()
    parts, other = make_parts(device), make_parts()
    write_pending(parts)
    for issuer in (other.tasks, parts.tasks):
        drain = Drain(lambda: None, issuer=issuer)
        parts.tasks.give_up_all(drain)
        drain.start()
    device.complete()
    assert not parts.sent()


def test_what_waits_for_memory_waits_no_more_when_it_is_given_up() -> None:
    # The session's own buffer has one command; nothing is left to borrow for a second.
    parts = make_parts(memory_bytes=0)
    ask_for_data(parts)
    asked = command(write_10(0, 1), 2, tag=6, write=512)
    parts.commands.command(asked[:48], memoryview(b""))
    assert [task.tag for task in parts.tasks.waiting] == [6]
    parts.tasks.give_up(parts.tasks.by_tag[6], Drain(lambda: None))
    assert not parts.tasks.waiting
    assert list(parts.tasks.by_tag) == [5]
