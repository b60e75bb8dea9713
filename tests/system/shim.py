"""The shim that lets system calls of a server fail: shim.c, compiled, and its rules."""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path

import attrs

_SOURCE = Path(__file__).with_name("shim.c")
#: shim.c, struct rule.
_RULE = struct.Struct("<iii244s")
RULE_COUNT = 8
#: As an error: fewer bytes than asked for, and no error.
SHORT = 0


def late(ms: float) -> int:
    """As an error: none, but the call is made so much later."""
    return -round(ms * 1000)


class Operation(IntEnum):
    """Calls that can fail; shim.c has the same numbers."""

    WRITE = 1
    READ = 2
    SYNC = 3


@attrs.frozen
class Rule:
    """Which calls fail.

    Attributes:
        operation: The kind of call.
        error: The errno, or SHORT, or what `late` returns.
        percent: How many of a hundred.
        path: On files whose path contains this.
    """

    operation: Operation
    error: int
    percent: int
    path: str


class Shim:
    """The compiled shim and its rules, which count at once for every process that has it.

    Args:
        folder: Where both are put.
    """

    def __init__(self, folder: Path) -> None:
        self._library = folder / "shim.so"
        self._rules = folder / "rules"
        flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
        words = ["gcc", *flags, "-o", str(self._library), str(_SOURCE), "-ldl"]
        subprocess.run(words, check=True)
        self._rules.write_bytes(bytes(RULE_COUNT * _RULE.size))

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to have the shim."""
        return {"LD_PRELOAD": str(self._library), "TIERCE_SHIM": str(self._rules)}

    @contextlib.contextmanager
    def failing(self, rules: Sequence[Rule]) -> Iterator[None]:
        """Let these calls fail meanwhile."""
        self._set(rules)
        try:
            yield
        finally:
            self._set([])

    def _set(self, rules: Sequence[Rule]) -> None:
        assert len(rules) <= RULE_COUNT
        with self._rules.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            # An operation of 0 is no rule: last of all it is written, so that no rule is half one.
            for index in range(RULE_COUNT):
                struct.pack_into("<i", mapped, index * _RULE.size, 0)
            for index, rule in enumerate(rules):
                path = os.fsencode(rule.path)
                whole = _RULE.pack(rule.operation, rule.error, rule.percent, path)
                at = index * _RULE.size
                mapped[at + 4 : at + _RULE.size] = whole[4:]
                mapped[at : at + 4] = whole[:4]
