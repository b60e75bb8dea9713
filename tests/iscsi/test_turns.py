"""One session's commands hold up nobody else's: what is dealt with in one turn is bounded."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from iscsi import initiator
from iscsi.bench import Bench, Initiator
from iscsi.initiator import command, nop_out, only, read_10, request, text
from tierce_iscsi.connection import SLOW_COUNT_MAX, TURN_NS

INQUIRY = bytes((0x12, 0, 0, 0, 96, 0))
NOP_IN = 0x20
OTHER = b"\x80\0\0\0\0\2"


def advances(start: int = 0, step: int = TURN_NS // 2) -> Callable[[], int]:
    """A clock that goes on whenever somebody looks at it."""
    return itertools.count(start, step).__next__


@pytest.mark.parametrize(
    "make",
    [
        lambda n: command(INQUIRY, n, read=96),
        lambda n: nop_out(n, tag=n),
        lambda n: request(4, n, text({"SendTargets": ""}), tag=n),
        lambda n: command(read_10(0, 1), n, read=512),
    ],
    ids=["inquiry", "nop", "text", "read"],
)
def test_a_socket_full_of_commands_holds_up_no_other_session(
    make_bench: Callable[..., Bench], make: Callable[[int], bytes]
) -> None:
    bench = make_bench(clock_ns=advances(), queue_depth=16)
    flood, honest = bench.session(), bench.session(isid=OTHER)
    flood.socket.sendall(b"".join(make(n) for n in range(1, 1500)))
    honest.socket.sendall(nop_out(1, b"ping", tag=7))
    bench.loop.turn_once()
    bench.loop.turn_once()
    assert only(came(honest)).data == b"ping"
    done = bench.frontend.connections()[0].pdu_count
    assert done < 10 * max(SLOW_COUNT_MAX, 16), "a few batches in two turns"
    bench.loop.turn()
    assert bench.frontend.connections()[0].pdu_count == 1499, "and the rest in its turns"


def came(session: Initiator) -> list[initiator.Answer]:
    """Return what has come, without letting the target do more."""
    return initiator.answers(session.socket.recv(1 << 20))


def test_one_call_takes_a_bounded_number_of_slow_commands(bench: Bench) -> None:
    bench.session()
    connection = bench.connection()
    stream = b"".join(nop_out(1, tag=n) for n in range(1, 100))
    window = connection.stream.receive_window()
    assert window is not None
    window[: len(stream)] = stream
    connection.stream.received(len(stream))
    counts = []
    while connection.advance():
        counts.append(connection.pdu_count)
    assert counts == [SLOW_COUNT_MAX * (n + 1) for n in range(6)]
    assert connection.pdu_count == 99
