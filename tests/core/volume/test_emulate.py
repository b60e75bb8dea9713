"""What core makes of what a device has: order and atomicity, where answers come late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tierce import GOOD, Capabilities, Code, Completed, Flag, Geometry, Op, Request, Status
from tierce.volume.emulate import Emulator

SIZE = 64 << 10
BLOCK = 512


class Late:
    """A device that parks everything; `answer` does the oldest. Reads wait for pending writes
    that they overlap, as the contract says, since all is done in the order in which it came.
    """

    def __init__(self, capabilities: Capabilities | None = None, io_max: int = 4096) -> None:
        self.geometry = Geometry(SIZE, BLOCK, io_bytes_max=io_max)
        self.capabilities = capabilities or Capabilities()
        self.data = bytearray(SIZE)
        self.pending: list[tuple[Request, Completed]] = []
        self.done: list[Op] = []
        self.failing: dict[Op, Status] = {}

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.pending += [(request, completed) for request in batch]

    def close(self, closed: Callable[[Status], None]) -> None:
        closed(GOOD)

    def answer(self, count: int = 1) -> None:
        for _ in range(count):
            request, completed = self.pending.pop(0)
            self.done.append(request.op)
            at, end = request.offset, request.offset + request.length
            assert request.length <= self.geometry.io_bytes_max
            if request.op is Op.READ:
                assert request.buffer is not None
                request.buffer[:] = self.data[at:end]
            elif request.op is Op.WRITE:
                assert request.buffer is not None
                self.data[at:end] = request.buffer
            request.status = self.failing.get(request.op, GOOD)
            completed([request])

    def answer_all(self) -> None:
        while self.pending:
            self.answer()


class Cached(Late):
    """A device that reads at once, and parks what changes."""

    def submit(self, batch: list[Request], completed: Completed) -> None:
        for request in batch:
            if request.op is Op.READ:
                at, end = request.offset, request.offset + request.length
                assert request.buffer is not None
                request.buffer[:] = self.data[at:end]
                request.status = GOOD
        super().submit([request for request in batch if request.status is None], completed)


@pytest.fixture
def late() -> Late:
    return Late()


def write(offset: int, fill: bytes, blocks: int = 1, *, fua: bool = False) -> Request:
    length = blocks * BLOCK
    return Request(Op.WRITE, offset, length, memoryview(fill * length), flags=Flag(fua))


def swap(offset: int, expected: bytes, fill: bytes, blocks: int = 1) -> Request:
    length = blocks * BLOCK
    data = memoryview(expected * length + fill * length)
    return Request(Op.COMPARE_AND_WRITE, offset, length, data)


def code(request: Request) -> Code | None:
    return request.status.code if request.status is not None else None


def test_a_swap_sees_the_write_before_it_in_its_own_batch(late: Late) -> None:
    """Otherwise the write would fall between the comparison and the swap, and be lost."""
    before, caw = write(0, b"a"), swap(0, b"\0", b"b")
    Emulator(late).submit([before, caw], lambda _requests: None)
    late.answer_all()
    assert code(caw) is Code.MISCOMPARE
    assert late.data[0] == ord("a")


def test_a_write_that_comes_during_a_swap_waits_for_it(late: Late) -> None:
    emulator, completed = Emulator(late), list[Request]()
    caw, plain, elsewhere = swap(0, b"\0", b"b"), write(0, b"c"), write(BLOCK, b"d")
    emulator.submit([caw], completed.extend)
    emulator.submit([plain, elsewhere], completed.extend)
    assert [request for request, _ in late.pending if request.op is Op.WRITE] == [elsewhere]
    late.answer_all()
    assert completed.index(caw) < completed.index(plain)
    assert late.data[0] == ord("c")


@pytest.mark.parametrize("op", [Op.WRITE_ZEROES, Op.WRITE])
def test_a_swap_waits_for_a_write_that_goes_on_in_pieces(op: Op) -> None:
    """A piece that is not yet submitted is none that the comparison would wait for."""
    late = Late(io_max=BLOCK)
    late.data[:] = b"x" * SIZE
    emulator = Emulator(late)
    buffer = memoryview(bytes(4 * BLOCK)) if op is Op.WRITE else None
    pieces = Request(op, 0, 4 * BLOCK, buffer)
    caw = swap(3 * BLOCK, b"x", b"y")
    emulator.submit([pieces], lambda _requests: None)
    emulator.submit([caw], lambda _requests: None)
    late.answer_all()
    assert code(pieces) is Code.GOOD
    assert code(caw) is Code.MISCOMPARE
    assert late.data[3 * BLOCK] == 0


def test_a_swap_larger_than_the_device_takes_is_read_and_written_in_pieces() -> None:
    late = Late(io_max=BLOCK)
    caw = swap(0, b"\0", b"y", blocks=5)
    Emulator(late).submit([caw], lambda _requests: None)
    late.answer_all()
    assert code(caw) is Code.GOOD
    assert late.data[: 5 * BLOCK] == b"y" * 5 * BLOCK
    assert late.done == [Op.READ] * 5 + [Op.WRITE] * 5


def test_two_swaps_of_one_block_exclude_each_other(late: Late) -> None:
    first, second = swap(0, b"\0", b"a"), swap(0, b"\0", b"b")
    Emulator(late).submit([first, second], lambda _requests: None)
    late.answer_all()
    assert (code(first), code(second)) == (Code.GOOD, Code.MISCOMPARE)


@pytest.mark.parametrize("fua", [False, True], ids=["plain", "durable"])
def test_hundreds_of_swaps_of_one_block_are_answered_one_after_another(*, fua: bool) -> None:
    """Only the first one's write takes time; what the others need is there at once."""
    device = Cached()
    emulator, completed = Emulator(device), list[Request]()
    swaps = [swap(0, b"\0", b"a") for _ in range(1000)]
    for caw in swaps:
        caw.flags = Flag(fua)
        emulator.submit([caw], completed.extend)
    device.answer_all()
    assert completed == swaps
    assert [code(caw) for caw in swaps] == [Code.GOOD] + [Code.MISCOMPARE] * 999


def test_durable_writes_of_one_block_are_answered_however_many_they_are() -> None:
    device = Cached()
    emulator, completed = Emulator(device), list[Request]()
    writes = [write(0, b"w", fua=True) for _ in range(1000)]
    for request in writes:
        emulator.submit([request], completed.extend)
    device.answer_all()
    assert {code(request) for request in writes} == {Code.GOOD}
    assert len(completed) == 1000


@pytest.mark.parametrize("op", [Op.WRITE_ZEROES, Op.WRITE, Op.COMPARE_AND_WRITE])
def test_a_read_is_not_answered_before_the_emulated_change_that_it_overlaps(op: Op) -> None:
    """Its last piece is not below yet, so that the device could not make the read wait."""
    late = Late(io_max=BLOCK)
    late.data[:] = b"x" * SIZE
    emulator, completed = Emulator(late), list[Request]()
    change = {
        Op.WRITE: write(0, b"y", blocks=4),
        Op.WRITE_ZEROES: Request(Op.WRITE_ZEROES, 0, 4 * BLOCK),
        Op.COMPARE_AND_WRITE: swap(0, b"x", b"y", blocks=4),
    }[op]
    read = Request(Op.READ, 3 * BLOCK, BLOCK, memoryview(bytearray(BLOCK)))
    elsewhere = Request(Op.READ, 8 * BLOCK, BLOCK, memoryview(bytearray(BLOCK)))
    large = Request(Op.READ, 0, 6 * BLOCK, memoryview(bytearray(6 * BLOCK)))
    for request in (change, read, elsewhere, large):
        emulator.submit([request], completed.extend)
    late.answer_all()
    assert completed == [elsewhere, change, read, large]
    assert read.buffer is not None
    assert large.buffer is not None
    wanted = 0 if op is Op.WRITE_ZEROES else ord("y")
    assert (read.buffer[0], large.buffer[3 * BLOCK], large.buffer[4 * BLOCK]) == (
        *(wanted, wanted),
        ord("x"),
    )


def test_a_change_waits_for_a_read_that_waits_for_a_change_before_it(late: Late) -> None:
    emulator, completed = Emulator(late), list[Request]()
    first, after = write(0, b"a", fua=True), write(0, b"b")
    read = Request(Op.READ, 0, BLOCK, memoryview(bytearray(BLOCK)))
    for request in (first, read, after):
        emulator.submit([request], completed.extend)
    late.answer_all()
    assert completed == [first, read, after]
    assert read.buffer is not None
    assert read.buffer[0] == ord("a")


def test_a_miscompare_says_where_and_writes_nothing(late: Late) -> None:
    late.data[700] = 1
    caw = swap(BLOCK, b"\0", b"a")
    Emulator(late).submit([caw], lambda _requests: None)
    late.answer_all()
    assert caw.status is not None
    assert (caw.status.code, caw.status.offset) == (Code.MISCOMPARE, 700)
    assert late.done == [Op.READ]


def test_durable_before_the_answer_is_a_write_and_then_a_flush(late: Late) -> None:
    answered: list[Request] = []
    durable = write(0, b"a", fua=True)
    Emulator(late).submit([durable], answered.extend)
    late.answer()
    assert not answered
    late.answer()
    assert (answered, late.done) == ([durable], [Op.WRITE, Op.FLUSH])


def test_a_flush_that_fails_fails_the_write_that_needed_it(late: Late) -> None:
    late.failing[Op.FLUSH] = Status(Code.WRITE_ERROR, "the disk is gone")
    durable = write(0, b"a", fua=True)
    Emulator(late).submit([durable], lambda _requests: None)
    late.answer_all()
    assert code(durable) is Code.WRITE_ERROR


def test_a_device_that_honours_durability_is_left_to_it() -> None:
    late = Late(Capabilities(flags=Flag.FUA))
    durable = write(0, b"a", fua=True)
    Emulator(late).submit([durable], lambda _requests: None)
    assert late.pending[0][0] is durable


def test_a_piece_that_fails_ends_the_request(late: Late) -> None:
    late.failing[Op.WRITE] = Status(Code.NO_SPACE, "full")
    large = write(0, b"a", blocks=32)
    Emulator(late).submit([large], lambda _requests: None)
    late.answer_all()
    assert code(large) is Code.NO_SPACE
    assert late.done == [Op.WRITE]


def test_what_is_answered_within_submit_is_not_reported_again(late: Late) -> None:
    status = Request(Op.BLOCK_STATUS, 0, SIZE)
    outside = Request(Op.READ, SIZE, BLOCK, memoryview(bytearray(BLOCK)))
    discard = Request(Op.DISCARD, 0, BLOCK)
    negative = Request(Op.READ, 0, -BLOCK, memoryview(b""))
    batch = [status, outside, discard, negative]
    Emulator(late).submit(batch, lambda _requests: pytest.fail("reported again"))
    codes = [code(request) for request in batch]
    assert codes == [Code.GOOD, Code.OUT_OF_RANGE, Code.UNSUPPORTED, Code.OUT_OF_RANGE]
    assert not late.pending


@pytest.mark.parametrize(
    ("op", "flags"),
    [
        (Op.READ, Flag.FUA),
        (Op.FLUSH, Flag.FUA),
        (Op.WRITE, Flag.NO_HOLE),
        (Op.DISCARD, Flag.NO_HOLE),
        (Op.WRITE, Flag(4)),
    ],
)
def test_a_flag_that_an_operation_does_not_take_is_refused(op: Op, flags: Flag, late: Late) -> None:
    buffer = memoryview(bytearray(BLOCK))
    asked = Request(op, 0, 0 if op is Op.FLUSH else BLOCK, buffer, flags)
    Emulator(late).submit([asked], lambda _requests: None)
    assert code(asked) is Code.UNSUPPORTED
    assert not late.pending


def test_zeroes_without_a_hole_are_written_where_the_device_would_make_one() -> None:
    late = Late(Capabilities(write_zeroes=True))
    late.data[:] = b"x" * SIZE
    zeroes = Request(Op.WRITE_ZEROES, 0, BLOCK, flags=Flag.NO_HOLE)
    Emulator(late).submit([zeroes], lambda _requests: None)
    late.answer_all()
    assert code(zeroes) is Code.GOOD
    assert late.done == [Op.WRITE]
    assert late.data[:BLOCK] == bytes(BLOCK)


def test_zeroes_without_a_hole_are_passed_to_a_device_that_knows_them() -> None:
    late = Late(Capabilities(Flag.NO_HOLE, write_zeroes=True))
    zeroes = Request(Op.WRITE_ZEROES, 0, BLOCK, flags=Flag.NO_HOLE)
    Emulator(late).submit([zeroes], lambda _requests: None)
    assert [request for request, _ in late.pending] == [zeroes]
    late.answer_all()


def test_durable_zeroes_are_zeroes_and_a_flush_where_the_device_knows_no_fua() -> None:
    late = Late(Capabilities(Flag.NO_HOLE, write_zeroes=True))
    zeroes = Request(Op.WRITE_ZEROES, 0, BLOCK, flags=Flag.NO_HOLE | Flag.FUA, trace="t")
    Emulator(late).submit([zeroes], lambda _requests: None)
    made = [request for request, _ in late.pending]
    late.answer_all()
    assert code(zeroes) is Code.GOOD
    assert late.done == [Op.WRITE_ZEROES, Op.FLUSH]
    assert [(one.flags, one.trace) for one in made] == [(Flag.NO_HOLE, "t")]
