"""What waits to be sent: in order, in pieces, and who hears when it has gone. No socket."""

from __future__ import annotations

from core.volume.model import Tally
from tierce import Op
from tierce_iscsi.output import SEND_BUFFER_COUNT_MAX, UNSENT_BYTES_MAX, Output, Unsent


def make() -> tuple[Output[str], list[str]]:
    gone: list[str] = []
    return Output(gone.append), gone


def test_who_owns_a_buffer_hears_when_its_last_byte_has_been_sent() -> None:
    output, gone = make()
    output.push(b"abc", "one")
    output.push(memoryview(b"defg"), "two")
    output.sent(4)
    assert (output.length, gone) == (3, ["one"])
    assert b"".join(output.buffers()) == b"efg"
    output.sent(3)
    assert (output.length, gone, output.head) == (0, ["one", "two"], None)


def test_what_never_will_be_sent_is_let_go_of_too() -> None:
    output, gone = make()
    output.push(b"abc", "one")
    output.push(b"d")
    output.clear()
    assert (output.length, gone) == (0, ["one"])


def test_one_send_takes_so_many_buffers_and_too_much_is_full() -> None:
    output, _gone = make()
    for _ in range(SEND_BUFFER_COUNT_MAX + 1):
        output.push(b"x")
    assert len(output.buffers()) == SEND_BUFFER_COUNT_MAX
    assert not output.is_full
    output.push(bytes(UNSENT_BYTES_MAX))
    assert output.is_full


def test_what_waits_to_be_sent_counts_from_the_first_attempt_to_the_last_byte() -> None:
    tally, times = Tally(), iter([1000, 6000])
    unsent = Unsent(tally, lambda: next(times))
    unsent.look(0)
    for length in (700, 900, 100, 0, 0):
        unsent.look(length)
    assert (tally.added, tally.ages) == ([(Op.READ, 1, 700)], [(5000, 1)])
    assert not unsent.is_waiting
