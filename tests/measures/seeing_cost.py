"""How much more a target does for an I/O because it can be seen into: what the test of its budget
counts.

    PYTHONPATH=tests python -m measures.seeing_cost

Times say it in nanoseconds (`measures.io_cost`), and are a percent or two off on a busy machine:
too much for a bound of one percent. What is counted here is the same each time: the steps of the
interpreter, and calls of C, each as so many steps. On the tree that this was made with, the
instructions of the processor that callgrind counted say the same, within a percent and a half.

It is a module of its own, run in a process of its own, since it takes the place of whoever
traces, as the measuring of coverage does.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from measures.io_cost import CASES, World
from tierce.trace_limits import NEVER, SAMPLE_EVERY

#: A call of C is as much as so many steps: 20 ns beside 5 to 7, its own steps counted besides.
_CALL_STEPS = 3
#: By depth, how many times as much an I/O may cost as with all off. One in a thousand is followed
#: here; at depth 32 it is one in four thousand, since 20 a second are. A write to three replicas
#: that is followed is 0.3 % here, so that what is 1.2 % is 1 % in truth.
LIMITS = {1: 1.02, 32: 1.012}
#: The case that is counted at once besides.
AT_ONCE = "file read, depth 1"
#: I/Os that are counted: enough for one that is followed, and for pages to be brought up to date.
_COUNT = 1024


class Steps:
    """Counts what one function does, and whatever it calls.

    Attributes:
        count: How many steps.
    """

    def __init__(self) -> None:
        self.count = 0

    def begin(self) -> None:
        """Count from now on."""
        sys.setprofile(self._profile)
        sys.settrace(self._enter)

    def end(self) -> None:
        """Count no more."""
        sys.settrace(None)
        sys.setprofile(None)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "opcode":
            self.count += 1
        return self._step

    def _profile(self, _frame: FrameType, event: str, _argument: Any) -> None:
        if event == "c_call":
            self.count += _CALL_STEPS


def steps_of(world: World, engine: str, op: str, depth: int) -> float:
    """Return the steps of an I/O, with its share of what the clock does."""
    steps = Steps()
    world.settle(engine, op, depth)
    # What a collection calls is whoever's garbage it finds.
    gc.disable()
    for _ in range(_COUNT // depth):
        world.ask(engine, op, depth)
        steps.begin()
        world.serve(engine)
        steps.end()
    steps.begin()
    world.page.bring_up()
    steps.end()
    gc.enable()
    return steps.count / _COUNT


def counted() -> dict[str, dict[str, float]]:
    """Return the steps by case and by what is seen: nothing, or as by default; and of one case with
    a page that has no clock, so that each addition is written down by itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Under a tracer all takes long.
        off = World(folder / "off", None)
        default = World(folder / "default", SAMPLE_EVERY, NEVER)
        at_once = World(folder / "once", SAMPLE_EVERY, NEVER, is_late=False)
        found = {
            f"{engine} {op}, depth {depth}": {
                "all off": steps_of(off, engine, op, depth),
                "default": steps_of(default, engine, op, depth),
            }
            for engine, op in CASES
            for depth in LIMITS
        }
        found[AT_ONCE]["at once"] = steps_of(at_once, "file", "read", 1)
    return found


if __name__ == "__main__":
    json.dump(counted(), sys.stdout, indent=1)
