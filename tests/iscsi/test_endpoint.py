"""One initiator's socket: what it does not take at once."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from core.volume.model import Tally
from iscsi.bench import Bench
from iscsi.initiator import command, read_10
from tierce import Op


def test_answers_that_the_socket_does_not_take_count_until_they_are_sent(
    make_bench: Callable[..., Bench],
) -> None:
    tally = Tally()
    bench = make_bench(1 << 24, clock_ns=lambda: 0, stages={"frontend.send": tally})
    session = bench.session(keys={"MaxRecvDataSegmentLength": str(1 << 20)})
    session.served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    session.ask(command(read_10(0, 1), 1, read=512))
    assert tally.added == [], "one that is taken at once waits for nothing"
    for number in range(2, 18):
        session.say(command(read_10(0, 1024), number, read=512 << 10))
    assert tally.added == []
    while not tally.added:
        bench.loop.turn()
        with contextlib.suppress(BlockingIOError):
            session.socket.recv(1 << 20)
    ((op, count, length),) = tally.added
    assert (op, count) == (Op.READ, 1)
    assert length > 512 << 10


def test_a_command_counts_from_its_arrival_and_not_from_its_turn(
    make_bench: Callable[..., Bench],
) -> None:
    tally = Tally()
    bench = make_bench(clock_ns=lambda: 9000, stages={"volume": tally})
    session = bench.session()
    bench.loop.woke_ns = 2000
    session.ask(command(read_10(0, 1), 1, read=512))
    # One that is no fast one: it asks for less than it says.
    session.ask(command(read_10(0, 1), 2, read=1024))
    assert tally.ages == [(7000, 1), (7000, 1)]
