"""Claims on extents: overlap waits in order, the rest passes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierce import ExtentHold, ExtentLock


def test_what_does_not_overlap_passes() -> None:
    lock = ExtentLock()
    held: list[ExtentHold] = []
    lock.acquire(0, 10, held.append, exclusive=True)
    lock.acquire(10, 10, held.append, exclusive=True)
    assert len(held) == 2
    assert lock


def test_readers_share_and_a_writer_waits_for_all_of_them() -> None:
    lock = ExtentLock()
    readers: list[ExtentHold] = []
    writer: list[ExtentHold] = []
    lock.acquire(0, 10, readers.append, exclusive=False)
    lock.acquire(5, 10, readers.append, exclusive=False)
    lock.acquire(8, 1, writer.append, exclusive=True)
    assert not lock.is_free(8, 1, exclusive=False), "a reader must not overtake the writer"
    lock.release(readers[0])
    assert not writer
    lock.release(readers[1])
    assert writer
    lock.release(writer[0])
    assert not lock
    assert lock.is_free(0, 100, exclusive=True)


def test_thousands_that_give_back_at_once_need_no_deeper_stack() -> None:
    lock, held, order = ExtentLock(), list[ExtentHold](), list[int]()
    lock.acquire(0, 10, held.append, exclusive=True)
    for number in range(5000):

        def granted(hold: ExtentHold, number: int = number) -> None:
            order.append(number)
            lock.release(hold)

        lock.acquire(0, 10, granted, exclusive=True)
    lock.release(held.pop())
    assert order == list(range(5000))
    assert not lock


def test_what_overlaps_is_granted_in_the_order_in_which_it_came() -> None:
    lock, held, order = ExtentLock(), list[ExtentHold](), list[str]()
    lock.acquire(0, 10, held.append, exclusive=False)
    for name, offset, length, exclusive in (
        ("writer", 5, 10, True),
        ("reader behind it", 0, 10, False),
        ("elsewhere", 40, 1, True),
        ("writer behind both", 0, 20, True),
    ):

        def granted(hold: ExtentHold, name: str = name) -> None:
            order.append(name)
            held.append(hold)

        lock.acquire(offset, length, granted, exclusive=exclusive)
    assert order == ["elsewhere"], "a reader must not overtake the writer"
    for _ in range(5):
        lock.release(held.pop(0))
    assert order == ["elsewhere", "writer", "reader behind it", "writer behind both"]


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 8), st.booleans(), st.booleans()), max_size=60
    )
)
def test_no_two_conflicting_holds_are_ever_held_and_all_are_granted_in_the_end(
    steps: list[tuple[int, int, bool, bool]],
) -> None:
    lock = ExtentLock()
    held: list[ExtentHold] = []
    granted = 0

    def take(hold: ExtentHold) -> None:
        nonlocal granted
        granted += 1
        assert not any(hold.conflicts(other) for other in held)
        held.append(hold)

    for offset, length, exclusive, gives_back in steps:
        lock.acquire(offset, length, take, exclusive=exclusive)
        if gives_back and held:
            lock.release(held.pop(0))
    while held:
        lock.release(held.pop())
    assert granted == len(steps)
    assert not lock
