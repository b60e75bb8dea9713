"""The server's side of works: starts the processes that do them, and hears what comes of it.

Which process does which work is decided in `tierce.inventory.workers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from tierce.errors import ProtocolError, UsageError
from tierce.inventory.errands import Done, GivenUpError
from tierce.inventory.planning import enabled_plugins
from tierce.inventory.workers import TOLD_S, Ask, End, Give, Job, Look, Start, Tell, Workers
from tierce.node.carrying_out import carry_out
from tierce.process.messages import Message
from tierce.process.paths import Paths
from tierce.process.plan import Plan, Role
from tierce.process.whereabouts import Whereabouts
from tierce.process.works import Work, error_of
from tierce.reactor import Reactor, Timer
from tierce.registry import Registry, mistake
from tierce.spec import Event
from tierce.supervision.child import Child
from tierce.supervision.children import Children


class Works:
    """Does works, each in a process that may hang or end without harm to any other volume.

    Args:
        paths: Where things lie.
        reactor: The supervisor's loop.
        children: Its processes.
        whereabouts: Asks a process where it is.
        emit: Reports an event.
        look_soon: Called when something is to be done.
    """

    def __init__(
        self,
        paths: Paths,
        reactor: Reactor,
        children: Children,
        whereabouts: Whereabouts,
        emit: Callable[[Event], None],
        look_soon: Callable[[], None],
    ) -> None:
        self._paths = paths
        self._reactor = reactor
        self._children = children
        self._whereabouts = whereabouts
        self._emit = emit
        self._look_soon = look_soon
        self._workers = Workers()
        self._asked: dict[str, int] = {}
        self._timer: Timer | None = None
        self._registry: Registry | None = None

    @property
    def registry(self) -> Registry:
        """The plugins."""
        assert self._registry is not None, "use comes first"
        return self._registry

    def use(self, registry: Registry) -> None:
        """Take these plugins from now on."""
        self._registry = registry

    def do(self, work: Work, done: Done) -> Callable[[GivenUpError], None]:
        """Do a work (tierce.inventory.errands.Worker)."""
        engine = self.registry.engines.get(work.engine)
        if engine is None:
            done(None, UsageError(f"no enabled plugin brings the engine {work.engine!r} any more"))
            return lambda _error: None
        if not engine.lifecycle:
            # An engine without one has no code that would be called.
            self._do_here(work, done)
            return lambda _error: None
        job = self._workers.want(work, done, self._reactor.now())
        self._look_soon()
        return lambda error: self._give_up(job, error)

    def end_former(self, adopted: Iterable[Child]) -> None:
        """End what a former server has left: what it does is done anew."""
        for child in adopted:
            if child.plan.role is Role.WORK:
                self._workers.found(child.plan.name)
                self._children.kill_silent(child)
                self._reactor.call_later(TOLD_S, partial(self._tell_former, child))

    def look(self) -> None:
        """Do what is to be done now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._reactor.now()
        for action in self._workers.actions(now):
            match action:
                case Start(name):
                    self._start(name)
                case Give(name, job):
                    self._give(name, job)
                case End(name):
                    self._children.stop(name)
                case Ask(name):
                    child = self._child(name)
                    self._asked[name] = self._whereabouts.ask(name, child.pidfd)
                case Tell(name, job):
                    self._tell(name, job)
                case Look(at):
                    self._timer = self._reactor.call_later(at - now, self._look_soon)

    def heard(self, child: Child) -> None:
        """A process has come up, or has ended."""
        name = child.plan.name
        if child.phase == "down":
            job = self._workers.gone(name, self._reactor.now())
            if job is not None:
                job.done(None, job.given_up or self._ended(name, job.work))
        elif child.phase == "up" and child.pid:
            self._workers.ready(name)
            self._retire_outdated(child)
        self._look_soon()

    # -- inside ------------------------------------------------------------------------------------

    def _do_here(self, work: Work, done: Done) -> None:
        try:
            result = carry_out(self.registry, work)
        except Exception as error:  # noqa: BLE001 - it is told to who wants the work
            done(None, error)
        else:
            done(result, None)

    def _child(self, name: str) -> Child:
        child = self._children.get(name)
        assert child is not None, "a process is known until it has ended"
        return child

    def _plan(self, name: str) -> Plan:
        # Its lifecycles are those of the plugins that the fork server has imported.
        return Plan(name, Role.WORK, settings={"plugins": list(enabled_plugins(self.registry))})

    def _start(self, name: str) -> None:
        self._workers.started(name, self._reactor.now())
        if not self._children.start(self._plan(name)):
            self._workers.refused(name)

    def _retire_outdated(self, child: Child) -> None:
        """End a process that was forked with other plugins than there are now."""
        if child.digest != self._plan(child.plan.name).digest and child.stop_asked_at is None:
            self._workers.retire(child.plan.name)
            self._children.stop(child.plan.name)

    def _give(self, name: str, job: Job) -> None:
        child = self._child(name)

        def answered(answer: Message) -> None:
            if "ok" in answer:
                self._answered(child, answer["ok"])
            else:
                self._kill(child)

        message = {"do": "work", "work": job.work.to_values()}
        if child.peer is None:
            self._kill(child)
            return
        try:
            child.peer.ask(message, answered)
        except ProtocolError as error:
            self._workers.answered(name)
            job.done(None, error)
            self._look_soon()

    def _answered(self, child: Child, answer: Mapping[str, Any]) -> None:
        job = self._workers.answered(child.plan.name)
        if job is None:
            return
        self._retire_outdated(child)
        if "failure" in answer:
            job.done(None, error_of(answer["failure"]))
        else:
            job.done(answer["result"], None)
        self._look_soon()

    def _give_up(self, job: Job, error: GivenUpError) -> None:
        name = self._workers.give_up(job, error)
        if name:
            self._kill(self._child(name))

    def _kill(self, child: Child) -> None:
        """It hangs, or has hung up: what it was to do is over when it has gone."""
        self._workers.retire(child.plan.name)
        self._children.kill_silent(child)

    def _ended(self, name: str, work: Work) -> Exception:
        why = (
            f"{work.call.method} of its lifecycle ended the process in which it was called, or it "
            f"was killed (its log: {self._paths.log(name)})"
        )
        return mistake(self.registry, "engine", work.engine, why)

    def _tell_former(self, child: Child) -> None:
        """Every work waits for it, and no other message would say so."""
        name = child.plan.name
        if self._children.get(name) is not child or not child.is_running:
            return
        message = (
            f"{name} (process {child.pid}) of a former server is still there though it was killed: "
            "it waits in the kernel, perhaps for a disk that is to be brought back; no volume is "
            "made, changed or deleted before it has gone, those that are served go on"
        )
        fields = {"pid": child.pid}
        self._emit(Event("node.process.killed", message, f"process/{name}", "warning", fields))

    def _tell(self, name: str, job: Job) -> None:
        work, child = job.work, self._child(name)
        waited = f"{self._reactor.now() - job.given_at:.0f} s"
        where = self._whereabouts.read(name, self._asked.pop(name, 0))
        origin = self.registry.origin("engine", work.engine)
        about = f"volume {work.volume.name}: " if work.volume is not None else ""
        message = (
            f"{about}{work.title} ({origin}) has not returned for {waited}"
            f"{f', it is in {where}' if where else ''} (process {child.pid}); others are served "
            f"meanwhile (its log: {self._paths.log(name)})"
        )
        subject = f"volume/{work.volume.name}" if work.volume is not None else f"process/{name}"
        self._emit(Event("volume.work-waits", message, subject, "warning", {"pid": child.pid}))
