"""Which process does which work: decided here, done by who is told (`tierce.server.working`).

::

    start --up--> idle --give--> busy --answered--> idle --nothing waits--> end
                                   |
                                   '--given up, hung up--> kill --gone--> the work has failed

One process does works in turn, as many as there are. Another one is started where a work has waited
for a while, since the one before it may take its time; there are few at once, but for those that
hang. A work whose process has ended, or was killed, has failed: whether it was done nobody knows,
and lifecycles can be repeated. What a former server's process still does is waited for: it is
killed, and nothing is given to any before it has gone.
"""

from __future__ import annotations

import enum

import attrs

from tierce.inventory.errands import Done, GivenUpError
from tierce.process.works import Work

#: Processes at once, without those whose work takes long.
PROCESS_COUNT_MAX = 4
#: Those too. A disk that hangs keeps its own volumes waiting, not those of others.
ALL_COUNT_MAX = 64
#: A work that has waited for so long has another process started.
PATIENCE_S = 0.25
#: One that is under way for so long is told of; where it is, is asked before.
TOLD_S = 5.0
ASKED_S = 4.0
#: A process that could not be started is tried again after so long; one that has not come up by
#: then is not waited for.
AGAIN_S = 5.0
assert ASKED_S < TOLD_S, "what is told names where it is"


@attrs.define(eq=False)
class Job:
    """A work that somebody waits for.

    Attributes:
        work: The work.
        done: Gets what comes of it.
        wanted_at: Since when it has waited; CLOCK_MONOTONIC.
        given_at: Since when it is under way.
        is_asked: Where it is was asked.
        is_told: That it takes long was told.
        given_up: Why it is wanted no more; it is over when its process is gone.
    """

    work: Work
    done: Done
    wanted_at: float
    given_at: float = 0.0
    is_asked: bool = False
    is_told: bool = False
    given_up: GivenUpError | None = None


class State(enum.Enum):
    """How a process is."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    #: It was asked to end, or killed.
    ENDING = "ending"
    #: It was started by a former server, and has to go.
    FORMER = "former"


@attrs.define(eq=False)
class Working:
    """One process.

    Attributes:
        name: Its name.
        started_at: When it was started; CLOCK_MONOTONIC.
        state: How it is.
        job: What it does.
    """

    name: str
    started_at: float = 0.0
    state: State = State.STARTING
    job: Job | None = None


@attrs.frozen
class Start:
    """Start a process."""

    name: str


@attrs.frozen(eq=False)
class Give:
    """Let a process do a work."""

    name: str
    job: Job


@attrs.frozen
class End:
    """Let a process end."""

    name: str


@attrs.frozen
class Ask:
    """Ask a process where it is."""

    name: str


@attrs.frozen(eq=False)
class Tell:
    """Tell that a work takes long."""

    name: str
    job: Job


@attrs.frozen
class Look:
    """Nothing more to do before this time; CLOCK_MONOTONIC."""

    at: float


Action = Start | Give | End | Ask | Tell | Look


class Workers:
    """The works that are wanted, and the processes that do them."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._working: dict[str, Working] = {}
        self._not_before = 0.0

    # -- what happens ------------------------------------------------------------------------------

    def want(self, work: Work, done: Done, now: float) -> Job:
        """Note a work that is to be done."""
        job = Job(work, done, now)
        self._waiting.append(job)
        return job

    def give_up(self, job: Job, error: GivenUpError) -> str:
        """Note that a work is wanted no more. Return the name of the process to kill, which does
        it; empty if none does, and it is over."""
        if job in self._waiting:
            self._waiting.remove(job)
            job.done(None, error)
            return ""
        job.given_up = error
        found = next((one for one in self._working.values() if one.job is job), None)
        if found is None or found.state is not State.BUSY:
            return ""
        self.retire(found.name)
        return found.name

    def found(self, name: str) -> None:
        """Note a process that a former server has started."""
        self._working[name] = Working(name, state=State.FORMER)

    def started(self, name: str, now: float) -> None:
        """Note a process that is being started."""
        self._working[name] = Working(name, now)

    def refused(self, name: str) -> None:
        """There was nobody to start it: it is tried again with the next look."""
        self._working.pop(name, None)

    def ready(self, name: str) -> None:
        """A process can take a work now."""
        found = self._working.get(name)
        if found is not None and found.state is State.STARTING:
            found.state = State.IDLE

    def answered(self, name: str) -> Job | None:
        """A process has done its work; return that."""
        found = self._working.get(name)
        if found is None or found.state is not State.BUSY:
            # It was given up, and its process is being killed.
            return None
        job, found.job, found.state = found.job, None, State.IDLE
        return job

    def retire(self, name: str) -> None:
        """Give a process nothing any more: it is being ended, or has hung up and is killed."""
        found = self._working.get(name)
        if found is not None:
            found.state = State.ENDING

    def gone(self, name: str, now: float) -> Job | None:
        """A process has ended; return the work that it has not done."""
        found = self._working.pop(name, None)
        if found is None:
            return None
        if found.state is State.STARTING:
            self._not_before = now + AGAIN_S
        return found.job

    # -- what is to be done ------------------------------------------------------------------------

    def actions(self, now: float) -> list[Action]:
        """Return what to do now, in order; a `Look` last if something is due later."""
        actions: list[Action] = []
        times: list[float] = []
        if not any(one.state is State.FORMER for one in self._working.values()):
            self._hand_out(now, actions)
            self._start(now, actions, times)
        for one in self._working.values():
            if one.job is not None and one.state is State.BUSY:
                self._watch(one, one.job, now, actions, times)
        if times:
            actions.append(Look(min(times)))
        return actions

    def _watch(
        self, one: Working, job: Job, now: float, actions: list[Action], times: list[float]
    ) -> None:
        """Tell what takes long, once."""
        if not job.is_asked:
            due = job.given_at + ASKED_S
        elif not job.is_told:
            due = job.given_at + TOLD_S
        else:
            return
        if now < due:
            times.append(due)
        elif not job.is_asked:
            job.is_asked = True
            actions.append(Ask(one.name))
            times.append(now + TOLD_S - ASKED_S)
        else:
            job.is_told = True
            actions.append(Tell(one.name, job))
            if self._waiting:
                times.append(now)

    def _hand_out(self, now: float, actions: list[Action]) -> None:
        for one in self._working.values():
            if one.state is not State.IDLE:
                continue
            if self._waiting:
                job = self._waiting.pop(0)
                job.given_at = now
                one.job, one.state = job, State.BUSY
                actions.append(Give(one.name, job))
            else:
                one.state = State.ENDING
                actions.append(End(one.name))

    def _start(self, now: float, actions: list[Action], times: list[float]) -> None:
        """Start a process where a work waits that none will come for soon."""
        quick = [one for one in self._working.values() if one.job is None or not one.job.is_told]
        is_full = len(quick) >= PROCESS_COUNT_MAX or len(self._working) >= ALL_COUNT_MAX
        if not self._waiting or is_full:
            return
        is_busy = any(one.state is State.BUSY for one in quick)
        coming = [one.started_at + AGAIN_S for one in quick if one.state is State.STARTING]
        patience_s = PATIENCE_S if is_busy else 0.0
        due = max(self._not_before, self._waiting[0].wanted_at + patience_s, *coming)
        if now < due:
            times.append(due)
            return
        names = (f"work.{number}" for number in range(1, ALL_COUNT_MAX + 1))
        actions.append(Start(next(name for name in names if name not in self._working)))
