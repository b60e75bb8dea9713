"""Counting requests of any kind, in runs of one kind: what a stage is told once for each run."""

from __future__ import annotations

from tierce.block.operation import Op, Request
from tierce.block.status import GOOD
from tierce.stage import Stage


def count(stage: Stage, requests: list[Request], elapsed_ns: int) -> None:
    """Count those that have a status; each took `elapsed_ns`."""
    op: Op | None = None
    number = length = 0
    for request in requests:
        status = request.status
        if status is not GOOD:
            if status is None:
                continue
            if not status.is_good:
                stage.fail(request.op, 1, status.code)
        if request.op is not op:
            if op is not None:
                stage.add(op, number, length, elapsed_ns)
            op = request.op
            number = length = 0
        number += 1
        length += request.length
    if op is not None:
        stage.add(op, number, length, elapsed_ns)
