"""What is done for a volume step by step, where steps are done elsewhere and may take their time.

An errand is a generator: it yields each work that it needs, and is sent what comes of it, or is
thrown what it failed by. So it reads from top to bottom, though the server serves all others
between two steps::

    def make(volume):
        store.put(intent)
        yield Work(create, volume)      # meanwhile the server goes on
        store.put(ready)

What may be done at the same time it yields together, and is sent what comes of each.

The errands of one volume are gone about one after the other, those of several beside each other.
One that needs no work is over at once.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

import attrs

from tierce.errors import TemporaryError
from tierce.process.works import Work

T = TypeVar("T")


@attrs.frozen
class Together:
    """Works that don't wait for one another: one that hangs or fails keeps no other from being
    done. What comes of them is sent when all are over: an `Answer` for each, in their order."""

    works: tuple[Work, ...]


@attrs.frozen
class Answer:
    """What came of one of several works.

    Attributes:
        result: What it returned.
        error: What it failed by; None if it did not.
    """

    result: Any = None
    error: Exception | None = None


Errand: TypeAlias = Generator[Work | Together, Any, T]
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
        step: What it waits for; None before the first.
        works: The works of that which are under way, by their place in it.
        answers: What has come of the others.
        give_up: Gives up one that is under way, by its place.
    """

    errand: Errand[Any]
    done: Done
    step: Work | Together | None = None
    works: dict[int, Work] = attrs.field(factory=dict)
    answers: dict[int, Answer] = attrs.field(factory=dict)
    give_up: dict[int, Callable[[GivenUpError], None]] = attrs.field(factory=dict)


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
        """Return the work that is waited for; of several the first."""
        queue = self._queues.get(key)
        return next(iter(queue[0].works.values()), None) if queue else None

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
        """Give up what is under way: the errand is thrown a GivenUpError, or is sent it for each
        of several, and goes on as it does after any that fails."""
        queue = self._queues.get(key)
        for give_up in list(queue[0].give_up.values()) if queue else ():
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
        going.step = None
        answer: Any = None
        failure: Exception | None = None
        try:
            going.step = going.errand.throw(error) if error else going.errand.send(result)
        except StopIteration as end:
            answer = end.value
        except Exception as raised:  # noqa: BLE001 - it is told to who began it
            failure = raised
        if going.step is not None:
            self._do(key, going, going.step)
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

    def _do(self, key: str, going: _Going, step: Work | Together) -> None:
        works = step.works if isinstance(step, Together) else (step,)
        assert works, "an errand that needs no work yields none"
        # All of them before the first is begun, which may be over at once.
        going.works, going.answers = dict(enumerate(works)), {}
        for place, work in enumerate(works):
            give_up = self._worker.do(work, partial(self._done, key, going, place))
            if going.step is step and place in going.works:
                going.give_up[place] = give_up

    def _done(
        self, key: str, going: _Going, place: int, result: Any, error: Exception | None
    ) -> None:
        """A work is over; with the last of those that were wanted together the errand goes on."""
        going.answers[place] = Answer(result, error)
        going.give_up.pop(place, None)
        del going.works[place]
        if going.works:
            return
        if isinstance(going.step, Together):
            self._step(key, tuple(going.answers[one] for one in sorted(going.answers)), None)
        else:
            self._step(key, result, error)


def run_here(errand: Errand[T], do: Callable[[Work], Any]) -> T:
    """Go about an errand in this process, and wait for it: for a command that needs no server.

    Args:
        errand: The errand.
        do: Does a work.
    """

    def answer(work: Work) -> Answer:
        try:
            return Answer(do(work))
        except Exception as error:  # noqa: BLE001 - the errand knows what to do about it
            return Answer(error=error)

    try:
        step = next(errand)
        while True:
            if isinstance(step, Together):
                step = errand.send(tuple(answer(work) for work in step.works))
                continue
            came = answer(step)
            step = errand.throw(came.error) if came.error else errand.send(came.result)
    except StopIteration as end:
        found: T = end.value
        return found
