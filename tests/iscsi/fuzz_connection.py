"""Feeds a connection sessions that are random, mutated, and cut anywhere.

    python tests/iscsi/fuzz_connection.py [--seconds 3600] [--seed N]

Prints the seed of what fails: any exception but ProtocolError, an answer that is not a whole
PDU, a buffer that is still held when everything has been answered. An hour of it is the long
form; the tests run a second or two.
"""

from __future__ import annotations

import argparse
import itertools
import random
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from iscsi.initiator import (
    NO_TAG,
    Answer,
    answers,
    command,
    data_out,
    nop_out,
    pdu,
    read_10,
    request,
    task_management,
    write_10,
)
from iscsi.standalone import Counters, Due, MemoryDevice
from tierce import ProtocolError, Tracer
from tierce_iscsi import task_management as management
from tierce_iscsi.connection import Connection
from tierce_iscsi.memory import Memory
from tierce_iscsi.scsi.table import COMMANDS
from tierce_iscsi.scsi.unit import LogicalUnit
from tierce_iscsi.session import Cause, Session
from tierce_iscsi.task_set import TaskSet
from tierce_iscsi.tasks import Drain
from tierce_iscsi.text import Negotiation, parse_text

BLOCKS = 256


class LoneHost:
    """A target with one session."""

    def __init__(self) -> None:
        self.made: list[Connection] = []

    def task_sets(self) -> list[TaskSet]:
        return [connection.tasks for connection in self.made]

    def manage_tasks(self, tasks: TaskSet, header: bytes) -> None:
        management.manage(self, tasks, header)

    def reset_unit(self) -> None:
        pass

    def drain_gone(self, drain: Drain) -> None:
        pass

    def end_all(self, reason: str, cause: Cause) -> None:
        self.made[0].stream.end(reason, cause)

    def answer_text(self, session: Session, text: bytes) -> bytes:
        return session.terms.answer_later(parse_text(text), str.encode)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Due:
        return Due(call)

    def when_quiet(self, done: Callable[[], None]) -> None:
        done()

    def forget(self, done: Callable[[], None]) -> None:
        pass


def random_session(seed: int) -> bytes:
    """Requests that are mostly right."""
    dice = random.Random(seed)
    stream = b""
    cmd_sn = 1
    for _ in range(dice.randrange(1, 30)):
        made, counts = _random_request(dice, cmd_sn)
        stream += made
        cmd_sn += counts
    return stream


def _random_request(dice: random.Random, cmd_sn: int) -> tuple[bytes, int]:
    """Return a request and how many command numbers it takes."""
    lba, count = dice.randrange(BLOCKS + 4), dice.randrange(5)
    size = count * 512
    data = dice.randbytes(size)
    match dice.randrange(9):
        case 0 | 1:
            return command(read_10(lba, count), cmd_sn, read=size), 1
        case 2 | 3:
            return command(write_10(lba, count), cmd_sn, write=size, data=data), 1
        case 4:
            half = size // 2
            return (
                command(write_10(lba, count), cmd_sn, write=size, data=data[:half], final=False)
                + data_out(cmd_sn, NO_TAG, 0, half, data[half:], final=True)
            ), 1
        case 5:
            cdb = bytes([dice.choice(list(COMMANDS))]) + dice.randbytes(15)
            return command(cdb, cmd_sn, read=dice.randrange(600)), 1
        case 6:
            return nop_out(cmd_sn, dice.randbytes(dice.randrange(64))), 0
        case 7:
            return task_management(dice.randrange(10), cmd_sn, task=dice.randrange(30)), 0
    return request(4, cmd_sn, b"SendTargets=\0"), 0


def mutate(stream: bytes, seed: int) -> bytes:
    """Change, drop and repeat some bytes."""
    dice = random.Random(seed)
    changed = bytearray(stream)
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(changed)) if changed else 0
        match dice.randrange(4):
            case 0 | 1:
                changed[at : at + 1] = dice.randbytes(1)
            case 2:
                del changed[at : at + dice.randrange(1, 60)]
            case 3:
                changed[at:at] = changed[at : at + dice.randrange(1, 60)]
    return bytes(changed)


class Soon:
    """What a loop calls when all else has returned."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def __call__(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def run(self) -> None:
        while self._calls:
            self._calls.pop(0)()


def make_connection(device: MemoryDevice, soon: Soon, memory_bytes: int = 64 << 20) -> Connection:
    """A session in its full feature phase."""
    terms = Negotiation(
        initiator_name="iqn.x:fuzz",
        segment_bytes_max=1024,
        has_initial_r2t=False,
        first_burst_bytes_max=65536,
    )
    unit = LogicalUnit(device, iqn="iqn.x:target", serial="0" * 32)
    clock = itertools.count()
    session = Session(terms, b"\0" * 6, 1, 0, 1, 1, 64)
    host = LoneHost()
    connection = Connection(
        *(unit, session, Memory(soon, memory_bytes).open(), host),
        clock_ns=lambda: next(clock),
        stage=Counters(),
        tracer=Tracer(),
        wake=lambda: None,
    )
    host.made.append(connection)
    return connection


def play(stream: bytes, cuts: int | None) -> tuple[list[Answer], bool, bytes]:
    """Feed a connection; return its answers, whether it ended, and the device's bytes.

    Args:
        stream: What the initiator sends.
        cuts: Seed of how it is cut; None: in one piece.
    """
    device = MemoryDevice(BLOCKS * 512)
    soon = Soon()
    connection = make_connection(device, soon)
    dice = random.Random(cuts)
    out, ended = _feed(connection, stream, dice, is_cut=cuts is not None, between=soon.run)
    found = answers(out)
    connection.tasks.give_up_all(Drain(lambda: None))
    _check_released(connection)
    return [_timeless(answer) for answer in found], ended, bytes(device.bytes)


def play_pending(stream: bytes, seed: int) -> None:
    """Feed a connection whose device completes writes at any time, in any order."""
    dice = random.Random(seed)
    pending: list[Callable[[], None]] = []
    soon = Soon()
    # So little memory that commands wait for one another.
    device = MemoryDevice(BLOCKS * 512, later=pending.append)
    connection = make_connection(device, soon, dice.choice((0, 8192, 64 << 20)))

    def complete_some() -> None:
        while pending and dice.random() < 0.5:
            pending.pop(dice.randrange(len(pending)))()
        soon.run()

    out, _ = _feed(connection, stream, dice, is_cut=True, between=complete_some)
    drained: list[bool] = []
    drain = Drain(lambda: drained.append(True))
    connection.tasks.give_up_all(drain)
    drain.start()
    while pending:
        pending.pop(dice.randrange(len(pending)))()
        soon.run()
    assert drained == [True], "everything is complete"
    assert not connection.tasks.by_tag
    answers(out + _sent(connection))
    _check_released(connection)


def _feed(
    connection: Connection,
    stream: bytes,
    dice: random.Random,
    *,
    is_cut: bool,
    between: Callable[[], None] = lambda: None,
) -> tuple[bytes, bool]:
    """Return what was answered, and whether the connection ended."""
    out = b""
    view = memoryview(stream)
    try:
        while view and not connection.stream.ending:
            window = connection.stream.receive_window()
            if window is None:
                break
            count = dice.randrange(1, 200) if is_cut else len(view)
            count = min(count, len(view), len(window))
            window[:count] = view[:count]
            view = view[count:]
            connection.stream.received(count)
            while connection.advance() or connection.stream.can_resume:
                connection.resume()
                out += _sent(connection)
            between()
            out += _sent(connection)
    except ProtocolError:
        return out + _sent(connection), True
    return out, bool(connection.stream.ending)


def _sent(connection: Connection) -> bytes:
    out = b""
    while connection.stream.output.length:
        buffers = connection.stream.output.buffers()
        data = b"".join(bytes(buffer) for buffer in buffers)
        connection.stream.output.sent(len(data))
        out += data
    return out


def _timeless(answer: Answer) -> Answer:
    """Without StatSN, ExpCmdSN and MaxCmdSN: what shares a batch is answered reads first."""
    return Answer(answer.header[:24] + bytes(12) + answer.header[36:], answer.data)


def _check_released(connection: Connection) -> None:
    for region in (connection.stream.in_region, connection.stream.out_region):
        assert region is None or region.holds == 0, "everything was answered, nothing is held"
    connection.stream.close()
    connection.dispose()
    assert connection.stream.account.used == 0, "all memory has been given back"


def main() -> None:
    """Run until the time is over."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--seconds", type=float, default=3600)
    args.add_argument("--seed", type=int)
    chosen = args.parse_args()
    end = time.monotonic() + chosen.seconds
    seeds = [chosen.seed] if chosen.seed is not None else itertools.count(time.time_ns() % 2**32)
    for count, seed in enumerate(seeds):
        try:
            stream = random_session(seed)
            assert ordered(play(stream, None)) == ordered(play(stream, seed))
            play(mutate(stream, seed), seed)
            play_pending(stream, seed)
            play_pending(mutate(stream, seed), seed)
            play(struct.pack(">I", seed) + pdu(bytes(48)), seed)
        except BaseException:
            print(f"failed: --seed {seed}")
            raise
        if time.monotonic() > end:
            print(f"{count + 1} sessions, nothing found")
            return


def ordered(found: tuple[list[Answer], bool, bytes]) -> tuple[list[Answer], bool, bytes]:
    """With the answers in the order of their tags: what shares a batch is answered reads first."""
    return sorted(found[0], key=lambda a: (a.tag, a.opcode, a.field(36))), found[1], found[2]


if __name__ == "__main__":
    main()
