"""A read-only export refuses every change, and only that."""

from __future__ import annotations

from typing import Any

import pytest

from tierce import GOOD, Capabilities, Code, Geometry, Op, Request
from tierce.volume.read_only import ReadOnly


class Below:
    def __init__(self) -> None:
        self.geometry, self.capabilities = Geometry(1 << 20), Capabilities(discard=True)
        self.got: list[list[Op]] = []
        self.is_closed = False

    def submit(self, batch: list[Request], _completed: object) -> None:
        self.got.append([request.op for request in batch])
        for request in batch:
            request.status = GOOD

    def close(self, _closed: object) -> None:
        self.is_closed = True


def ask(*operations: Op) -> tuple[list[list[Op]], list[Code]]:
    below: Any = Below()
    batch = [Request(op, 0, 512) for op in operations]
    ReadOnly(below).submit(batch, lambda _requests: None)
    return below.got, [request.status.code for request in batch if request.status is not None]


@pytest.mark.parametrize("op", list(Op))
def test_what_changes_the_volume_is_refused_and_never_reaches_it(op: Op) -> None:
    changes = op in {Op.WRITE, Op.DISCARD, Op.WRITE_ZEROES, Op.COMPARE_AND_WRITE}
    got, codes = ask(Op.READ, op)
    assert codes == [Code.GOOD, Code.READ_ONLY if changes else Code.GOOD]
    assert got == [[Op.READ] if changes else [Op.READ, op]]


def test_a_batch_of_changes_alone_reaches_nobody() -> None:
    assert ask(Op.WRITE, Op.DISCARD)[0] == []


def test_it_says_so_and_closing_it_leaves_the_volume_open() -> None:
    below: Any = Below()
    device, closed = ReadOnly(below), list[Any]()
    assert device.capabilities == Capabilities(discard=True, read_only=True)
    assert device.geometry == below.geometry
    device.close(closed.append)
    assert (closed, below.is_closed) == ([GOOD], False)
