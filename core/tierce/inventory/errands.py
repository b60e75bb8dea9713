"""What is done for a volume step by step, where steps are done elsewhere and may take their time.

An errand is a generator: it yields each work that it needs, and is sent what comes of it, or is
thrown what it failed by. So it reads from top to bottom, though the server serves all others
between two steps::

    def make(volume):
        store.put(intent)
        yield Work(create, volume)      # meanwhile the server goes on
        store.put(ready)

The errands of one volume are gone about one after the other, those of several beside each other.
One that needs no work is over at once.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeAlias, TypeVar

import attrs

from tierce.errors import TemporaryError
from tierce.process.works import Work

T = TypeVar("T")

Errand: TypeAlias = Generator[Work, Any, T]
#: Gets what comes of something, or what it failed by.
Done: TypeAlias = Callable[[Any, Exception | None], None]


class GivenUpError(TemporaryError):
    """Who wanted a work wants it no more: it was given up where it was."""


class Worker(Protocol):
    """Does works."""

    def do(self, work: Work, done: Done) -> Callable[[GivenUpError], None]:
        """Do a work; `done` gets what comes of it, now or later, once.

        Returns: what gives it up: it is then over as soon as nothing of it runs any more, with the
        error that is given, or with what had come of it before.
        """
        ...


@attrs.define(eq=False)
class _Going:
    """An errand, and where it is.

    Attributes:
        errand: The errand.
        done: Gets its result.
        work: The work that is under way for it; None before the first.
        give_up: Gives that work up.
    """

    errand: Errand[Any]
    done: Done
    work: Work | None = None
    give_up: Callable[[GivenUpError], None] | None = None


class Errands:
    """The errands of one server.

    Args:
        worker: Does their works.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queues: dict[str, collections.deque[_Going]] = {}

    @property
    def busy(self) -> frozenset[str]:
        """For whom errands are under way."""
        return frozenset(self._queues)

    def under_way(self, key: str) -> Work | None:
        """Return the work that is waited for."""
        queue = self._queues.get(key)
        return queue[0].work if queue else None

    def begin(self, key: str, errand: Errand[Any], done: Done) -> None:
        """Go about an errand, after those with the same key.

        Args:
            key: For whom: a volume's name.
            errand: The errand.
            done: Gets what it returns, or what it raises.
        """
        queue = self._queues.setdefault(key, collections.deque())
        queue.append(_Going(errand, done))
        if len(queue) == 1:
            self._step(key, None, None)

    def interrupt(self, key: str, why: str) -> None:
        """Give up the work that is under way: the errand is thrown a GivenUpError, and goes on as
        it does after any that fails."""
        queue = self._queues.get(key)
        give_up = queue[0].give_up if queue else None
        if give_up is not None:
            give_up(GivenUpError(why))

    def _step(self, key: str, result: Any, error: Exception | None) -> None:
        """Let the first errand of a queue go on with what has come of its work, and those behind
        it as far as they need none: in a loop, for any number may have come meanwhile."""
        bugs: list[Exception] = []
        while self._go_on(key, result, error, bugs):
            result = error = None
        if bugs:
            raise bugs[0]

    def _go_on(self, key: str, result: Any, error: Exception | None, bugs: list[Exception]) -> bool:
        """Let the first errand of a queue go on; return whether it is the next one's turn."""
        queue = self._queues[key]
        going = queue[0]
        going.work = going.give_up = None
        answer: Any = None
        failure: Exception | None = None
        try:
            going.work = going.errand.throw(error) if error else going.errand.send(result)
        except StopIteration as end:
            answer = end.value
        except Exception as raised:  # noqa: BLE001 - it is told to who began it
            failure = raised
        if going.work is not None:
            self._do(key, going, going.work)
            return False
        try:
            # Before its place is free: what who is told begins comes after those that wait.
            going.done(answer, failure)
        except Exception as bug:  # noqa: BLE001 - it is raised when the others have had their turn
            bugs.append(bug)
        queue.popleft()
        if not queue:
            del self._queues[key]
        return bool(queue)

    def _do(self, key: str, going: _Going, work: Work) -> None:
        is_over = False

        def done(result: Any, error: Exception | None) -> None:
            nonlocal is_over
            is_over = True
            self._step(key, result, error)

        give_up = self._worker.do(work, done)
        if not is_over:
            going.give_up = give_up


def run_here(errand: Errand[T], do: Callable[[Work], Any]) -> T:
    """Go about an errand in this process, and wait for it: for a command that needs no server.

    Args:
        errand: The errand.
        do: Does a work.
    """
    try:
        work = next(errand)
        while True:
            try:
                result = do(work)
            except Exception as error:  # noqa: BLE001 - the errand knows what to do about it
                work = errand.throw(error)
            else:
                work = errand.send(result)
    except StopIteration as end:
        found: T = end.value
        return found
