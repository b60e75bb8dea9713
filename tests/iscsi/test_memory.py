"""What the sessions of a target may hold: bounds that hold at every moment, and nobody starves."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator

import pytest

from iscsi.bench import Bench, Initiator
from iscsi.fuzz_connection import Soon
from iscsi.initiator import command, data_out, nop_out, only, read_10, task_management, write_10
from tierce_iscsi.buffers import (
    OUTGOING,
    OWN_COMMAND_BYTES,
    OWN_REGION_COUNT,
    REGION_BYTES,
    REGION_COUNT_MAX,
    CommandMemory,
    Pool,
    Region,
)
from tierce_iscsi.connection import TURN_NS
from tierce_iscsi.memory import SESSION_SHARED_BYTES_MAX, Account, Memory
from tierce_iscsi.output import UNSENT_BYTES_MAX, UNSENT_COUNT_MAX
from tierce_iscsi.responses import DATA_IN_COUNT_MAX

MIB = 1 << 20
R2T, DATA_IN, RESPONSE, NOP_IN = 0x31, 0x25, 0x21, 0x20
TASK_SET_FULL = 0x28
TEST_UNIT_READY = bytes(6)


def isid(number: int) -> bytes:
    return b"\x80\0\0\0" + number.to_bytes(2, "big")


def memory(bytes_max: int = 64 * MIB) -> tuple[Memory, Soon]:
    soon = Soon()
    return Memory(soon, bytes_max), soon


# -- accounts --------------------------------------------------------------------------------------


def test_what_one_session_may_borrow_is_its_part_of_what_there_is() -> None:
    shared, _ = memory(64 * MIB)
    one = shared.open()
    assert one.take(64 * MIB)
    assert not one.take(1)
    one.give(64 * MIB)
    shared.open()
    assert not one.take(32 * MIB + 1)
    assert one.take(32 * MIB)


def test_no_session_borrows_more_than_its_limit_of_however_much() -> None:
    shared, _ = memory(1 << 40)
    assert not shared.open().take(SESSION_SHARED_BYTES_MAX + 1)


def test_all_sessions_together_borrow_no_more_than_there_is() -> None:
    shared, _ = memory(10 * MIB)
    first = shared.open()
    assert first.take(8 * MIB)
    others = [shared.open() for _ in range(4)]
    assert [account.take(2 * MIB) for account in others] == [True, False, False, False]
    assert shared.left == 0


def test_spare_buffers_of_others_are_taken_before_anybody_has_to_wait() -> None:
    shared, _ = memory(4 * MIB)
    rich = shared.open()
    pool = Pool(rich, OUTGOING)
    regions = [region for _ in range(OWN_REGION_COUNT + 4) if (region := pool.take())]
    assert shared.left == 0
    for region in regions:
        pool.give(region)
    assert rich.used == rich.spare == 4 * MIB, "kept for the next time"
    assert shared.open().take(2 * MIB)
    assert rich.used == 0
    assert len([1 for _ in range(OWN_REGION_COUNT) if pool.take()]) == OWN_REGION_COUNT


def test_those_who_wait_try_again_in_their_order_when_something_comes_back() -> None:
    shared, soon = memory(4 * MIB)
    holder, tried = shared.open(), list[int]()
    assert holder.take(4 * MIB)
    for number in range(3):
        shared.open().wait(lambda number=number: tried.append(number))  # type: ignore[misc]
    assert tried == []
    holder.give(MIB)
    holder.give(MIB)
    assert tried == [], "not from within the one that gives"
    soon.run()
    assert tried == [0, 1, 2]


# -- regions ---------------------------------------------------------------------------------------


def test_a_session_has_two_regions_each_way_of_its_own_and_no_more_than_the_limit() -> None:
    shared, _ = memory(1 << 40)
    pool = Pool(shared.open(), OUTGOING)
    taken = [region for _ in range(100) if (region := pool.take())]
    assert len(taken) == REGION_COUNT_MAX
    assert shared.bytes_max - shared.left == (REGION_COUNT_MAX - OWN_REGION_COUNT) * REGION_BYTES
    poor, _ = memory(0)
    pool = Pool(poor.open(), OUTGOING)
    assert [pool.take() is not None for _ in range(4)] == [True, True, False, False]
    assert not pool.has_room


# -- buffers of commands ---------------------------------------------------------------------------


def buffers(bytes_max: int) -> tuple[CommandMemory, Account, Memory]:
    shared, _ = memory(bytes_max)
    account = shared.open()
    return CommandMemory(account), account, shared


def test_one_command_at_a_time_has_room_whatever_the_others_hold() -> None:
    large, _account, _shared = buffers(0)
    first = large.take(OWN_COMMAND_BYTES // 2)
    assert first is not None
    assert large.take(1) is None
    assert large.take(OWN_COMMAND_BYTES // 2, has_own=True) is not None
    assert large.take(1, has_own=True) is None, "nor more than that"


def test_a_buffer_that_was_begun_costs_what_was_kept_in_it_until_it_is_completed() -> None:
    large, account, shared = buffers(2 * MIB)
    own = large.take(4096)
    assert own is not None
    begun = large.take_begun(MIB, 5000)
    assert begun is not None
    assert account.used == 8192
    assert large.complete(begun)
    assert account.used == MIB
    other = large.take_begun(2 * MIB, 4096)
    assert other is not None
    assert not large.complete(other)
    own.holds = 0
    large.give(own)
    assert large.complete(other), "what is the session's own is free again"
    assert account.used - account.spare == MIB
    assert shared.left >= 0


def test_no_more_than_a_few_spare_buffers_are_kept_and_they_count_as_borrowed() -> None:
    large, account, _shared = buffers(64 * MIB)
    taken = [region for _ in range(20) if (region := large.take(MIB))]
    for region in taken:
        region.holds = 0
        large.give(region)
    assert account.used == account.spare == 4 * MIB
    assert large.take(MIB) is taken[-1] or account.spare == 3 * MIB
    account.drop_spares()
    assert account.used == 0


# -- sessions --------------------------------------------------------------------------------------


def test_writes_wait_for_memory_and_are_all_done(make_bench: Callable[..., Bench]) -> None:
    """Neither refused, nor waiting for one another for ever."""
    bench = make_bench(64 * MIB, leaves_pending=True, memory_bytes=3 * MIB)
    session = bench.session(keys={"MaxBurstLength": "262144", "FirstBurstLength": "512"})
    blocks, asked, statuses = MIB // 512, list[int](), dict[int, int]()
    found = session.ask(
        *(
            command(write_10(n * blocks, blocks), n + 1, write=MIB, data=bytes([n]) * 512)
            for n in range(32)
        )
    )
    while len(statuses) < 32:
        assert found, "somebody is always asked for data"
        answers, found = found, []
        for answer in answers:
            if answer.opcode == R2T:
                offset, length = answer.field(40), answer.field(44)
                data = bytes([answer.tag - 1]) * length
                asked.append(answer.tag)
                found += session.ask(
                    data_out(answer.tag, answer.transfer_tag, 0, offset, data, final=True)
                )
            else:
                statuses[answer.tag] = answer.status
        bench.complete()
        found += session.hear()
    assert set(statuses.values()) == {0}
    assert list(dict.fromkeys(asked)) == list(range(1, 33)), "in the order of their coming"
    for n in range(32):
        assert bench.device.bytes[n * MIB : (n + 1) * MIB] == bytes([n]) * MIB


def test_reads_wait_for_memory_and_are_all_answered(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(64 * MIB, memory_bytes=2 * MIB)
    bench.device.bytes[:] = b"".join(bytes([n]) * MIB for n in range(64))
    session = bench.session()
    session.say(b"".join(command(read_10(n * 2048, 2048), n + 1, read=MIB) for n in range(64)))
    found = session.hear()
    data = dict.fromkeys(range(64), b"")
    for answer in found:
        assert answer.opcode == DATA_IN, "none is refused"
        data[answer.tag - 1] += answer.data
    assert all(data[n] == bytes([n]) * MIB for n in range(16))


def test_a_session_without_memory_hinders_no_other(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(64 * MIB, memory_bytes=4 * MIB)
    greedy, other = bench.session(), bench.session(isid=isid(2))
    # It never sends the data that it is asked for.
    greedy.ask(*(command(write_10(0, 2048), n + 1, write=MIB) for n in range(64)))
    for n in range(4):
        assert only(other.ask(nop_out(n + 1))).opcode == NOP_IN
        found = other.ask(command(read_10(0, 4096), n + 1, read=2 * MIB))
        assert sum(len(answer.data) for answer in found) == 2 * MIB


def test_a_write_that_waits_for_memory_can_be_aborted(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(64 * MIB, memory_bytes=0)
    session = bench.session()
    found = session.ask(*(command(write_10(0, 2048), n, write=MIB) for n in (1, 2, 3)))
    assert [answer.tag for answer in found] == [1], "one has room, the others wait"
    assert only(session.ask(task_management(1, 4, task=2))).response == 0
    assert [answer.tag for answer in session.ask(task_management(1, 4, task=1))] == [98, 3]


def test_only_unasked_data_that_find_no_room_at_all_are_refused(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(64 * MIB, memory_bytes=0)
    session = bench.session()
    first = command(write_10(0, 2048), 1, write=MIB, data=bytes(512))
    second = command(write_10(0, 2048), 2, write=MIB, data=bytes(512))
    found = session.ask(first, second)
    assert [(answer.tag, answer.opcode) for answer in found] == [(1, R2T), (2, RESPONSE)]
    assert found[1].status == TASK_SET_FULL


def never_reads(bench: Bench, requests: bytes, number: int = 1) -> Initiator:
    """A session whose initiator sends all this and takes no answer."""
    session = bench.session(isid=isid(number))
    view = memoryview(requests)
    while view:
        try:
            view = view[session.socket.send(view) :]
        except BlockingIOError:
            if not bench.loop.turn_once():
                break
    bench.loop.turn()
    return session


@pytest.mark.parametrize("size", [64 << 10, MIB], ids=["of one PDU", "of several"])
def test_what_waits_to_be_sent_is_bounded_at_every_moment(
    make_bench: Callable[..., Bench], size: int
) -> None:
    """One receive brings thousands of READs; the bound is not looked at between receives only."""
    bench = make_bench(8 * MIB, queue_depth=1024)
    count, blocks = 24 * MIB // size, size // 512
    session = never_reads(
        bench, b"".join(command(read_10(0, blocks), n + 1, read=size) for n in range(count))
    )
    assert UNSENT_BYTES_MAX < bench.connection().stream.output.length <= UNSENT_BYTES_MAX + 2 * MIB
    answers = session.hear()
    assert sum(len(answer.data) for answer in answers) == 24 * MIB, "it goes on when they are read"


def test_small_answers_that_nobody_reads_are_bounded_by_their_number(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(queue_depth=1024)
    never_reads(bench, b"".join(nop_out(1, tag=n + 1) for n in range(200_000)))
    output = bench.connection().stream.output
    assert len(output._queue) <= UNSENT_COUNT_MAX + 16
    assert output.is_full


def test_sixteen_sessions_that_never_read_hold_no_more_than_the_target_may(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(8 * MIB, memory_bytes=32 * MIB)
    reads = b"".join(command(read_10(0, 2048), n + 1, read=MIB) for n in range(128))
    for number in range(15):
        never_reads(bench, reads, number)
    honest = bench.session(isid=isid(99))
    assert bench.frontend.memory.left >= 0
    assert bench.frontend.memory.bytes_max == 32 * MIB
    held = sum(region.size for region in alive() if region.holds)
    assert held <= 32 * MIB + 16 * (4 * REGION_BYTES + OWN_COMMAND_BYTES)
    assert only(honest.ask(nop_out(1))).opcode == NOP_IN
    found = honest.ask(command(read_10(0, 4096), 1, read=2 * MIB))
    assert sum(len(answer.data) for answer in found) == 2 * MIB


def test_a_long_read_by_an_initiator_that_takes_little_at_a_time_is_given_bit_by_bit(
    make_bench: Callable[..., Bench],
) -> None:
    """16,384 PDUs at once would be 60 ms in which nobody else has a turn."""
    bench = make_bench(8 * MIB, clock_ns=itertools.count(0, TURN_NS).__next__)
    bench.device.bytes[:] = bytes(range(256)) * (8 * MIB // 256)
    session = bench.session(keys={"MaxRecvDataSegmentLength": "512"})
    session.say(command(read_10(0, 16384), 1, read=8 * MIB))
    bench.loop.turn_once()
    given = only(list(bench.connection().stream.giving))
    assert 0 < given.number <= 8 * DATA_IN_COUNT_MAX
    found = session.hear()
    assert found[-1].flags == 0x81
    assert [answer.field(36) for answer in found[-3:]] == [16381, 16382, 16383], "DataSN"


# -- nothing is kept -------------------------------------------------------------------------------


def alive() -> list[Region]:
    """Every region that there is, wherever it is kept."""
    return [thing for thing in gc.get_objects() if isinstance(thing, Region)]


@pytest.fixture
def no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collections")
def test_the_memory_of_a_closed_session_is_free_without_a_collection(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(64 * MIB, leaves_pending=True)
    before = len(alive())
    for number in range(4):
        session = bench.session(isid=isid(number))
        session.ask(
            command(write_10(0, 1), 1, write=512, data=bytes(512)),
            command(write_10(0, 2048), 2, write=MIB),
            command(read_10(0, 4096), 3, read=2 * MIB),
        )
        session.close()
        bench.loop.turn()
    assert len(alive()) > before, "the device still has their writes"
    bench.complete()
    bench.loop.turn()
    assert len(alive()) == before
    assert bench.frontend.memory.left == bench.frontend.memory.bytes_max


@pytest.mark.usefixtures("no_collections")
def test_the_memory_of_a_command_is_free_with_its_last_byte(
    make_bench: Callable[..., Bench],
) -> None:
    """The requests of a command know it, and it knows them."""
    bench = make_bench(64 * MIB, leaves_pending=True)
    session = bench.session()
    for number in range(1, 20):
        session.ask(command(read_10(0, 8192), number, read=4 * MIB))
    for number in range(20, 40):
        # FUA: flushed first, so that the device leaves it pending.
        fua = b"\x28\x08" + read_10(0, 8192)[2:]
        session.ask(command(fua, number, read=4 * MIB))
        bench.complete()
        session.hear()
    assert len([region for region in alive() if region.size == 4 * MIB]) <= 2
