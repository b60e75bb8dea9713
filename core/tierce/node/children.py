"""The processes of one supervisor: starting, adopting, watching, stopping.

A process is watched by its pidfd, which works for processes that another one forked, and across
restarts of the supervisor. All but the template are forked by the template; the supervisor makes
itself their subreaper, so that what a dead template leaves behind is reaped here.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import attrs

from tierce.errors import ConflictError, ProtocolError
from tierce.node.control import Message, Peer, close_all
from tierce.node.layout import Layout, connect
from tierce.node.plan import Plan, Role, event_from_json
from tierce.node.process import subject_of
from tierce.node.reconcile import RECOVERED_S, Observed, restart_delay_s
from tierce.reactor import READABLE, Reactor
from tierce.spec import Event
from tierce.state import find_holder

#: prctl(2): orphans of our descendants become our children.
_PR_SET_CHILD_SUBREAPER = 36
#: The descriptor under which the template finds its control connection.
_CONTROL_FD = 3


@attrs.define(eq=False)
class Child:
    """One process, alive or not.

    Attributes:
        plan: What it was started by; of an adopted one what its lock says, without settings.
        digest: Digest of the plan that it was started by.
        pid: Its process id, 0 while it is being forked.
        pidfd: What it is watched by, -1 while there is none.
        peer: The connection to it.
        told: What of its plan may change while it runs, as it was told; None if nobody knows.
        phase: "starting", "up", "closing" or "down".
        started_at: When it was started or adopted; CLOCK_MONOTONIC.
        stop_asked_at: When it was asked to stop.
        was_killed: It was killed after it would not stop.
        failure_count: Ends in a row that nobody asked for.
        start_at: Not to be started before.
        fenced: Why it must stay down.
    """

    plan: Plan
    digest: str
    pid: int = 0
    pidfd: int = -1
    peer: Peer | None = None
    told: dict[str, Any] | None = None
    phase: str = "starting"
    started_at: float = 0.0
    stop_asked_at: float | None = None
    was_killed: bool = False
    failure_count: int = 0
    start_at: float = 0.0
    fenced: str = ""

    @property
    def is_running(self) -> bool:
        """True from the wish to start it until its end."""
        return self.phase != "down"

    def observe(self) -> Observed:
        """Return it as `reconcile` wants to see it."""
        return Observed(
            name=self.plan.name,
            role=self.plan.role,
            volume=self.plan.volume,
            digest=self.digest,
            is_running=self.is_running,
            stop_asked_at=self.stop_asked_at,
            was_killed=self.was_killed,
            start_at=self.start_at,
            is_fenced=bool(self.fenced),
        )


class Children:
    """All processes of this supervisor.

    Args:
        layout: Where things lie.
        reactor: The supervisor's loop.
        emit: Reports an event.
        changed: Called after anything has changed: the child, and whether it has just come up.
        restart_delay_s_max: The longest back-off.
    """

    def __init__(
        self,
        layout: Layout,
        reactor: Reactor,
        *,
        emit: Callable[[Event], None],
        changed: Callable[[Child], None],
        restart_delay_s_max: float,
    ) -> None:
        self._layout = layout
        self._reactor = reactor
        self._emit = emit
        self._changed = changed
        self._restart_delay_s_max = restart_delay_s_max
        self._children: dict[str, Child] = {}
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def all(self) -> list[Child]:
        """Return every process that is known, alive or not."""
        return list(self._children.values())

    def get(self, name: str) -> Child | None:
        """Return the process of that name, None if it is unknown."""
        return self._children.get(name)

    def forget(self, name: str) -> None:
        """Forget a process that is down and no longer wanted."""
        child = self._children.pop(name, None)
        assert child is None or not child.is_running, "a living process is not forgotten"

    def detach(self) -> None:
        """Let go of every process without stopping any."""
        for child in self._children.values():
            self._let_go(child)

    # -- starting ----------------------------------------------------------------------------------

    def adopt_living(self) -> list[Child]:
        """Take over what a former supervisor left running."""
        found = [
            self._adopt(path.stem)
            for path in sorted(self._layout.run.glob("*.lock"))
            if not path.name.startswith(".")
        ]
        return [child for child in found if child is not None]

    def start(self, plan: Plan) -> bool:
        """Start a process, or adopt the one of its name that is alive already.

        Returns: False if there is no template to ask; a change will come when there is one.
        """
        if self._adopt(plan.name) is not None:
            return True
        if plan.role is Role.TEMPLATE:
            self._spawn_template(plan)
            return True
        template = self._children.get(Role.TEMPLATE.value)
        if template is None or template.stop_asked_at is not None:
            # The one that is going was made for other plugins; its successor will be asked.
            return False
        if template.peer is None or not template.peer.is_open:
            return False
        child = self._begin(plan)
        child.told = plan.live
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child.peer = self._peer(child, ours)

        def answered(answer: Message) -> None:
            if child.phase == "down" or child.pid:
                return
            pid = answer.get("ok", {}).get("pid", 0)
            if not (pid and self._watch(child, pid)):
                self._ended(child, str(answer.get("error", "it ended at once")))
            elif child.stop_asked_at is not None:
                self._signal(child, signal.SIGTERM)

        with theirs:
            try:
                template.peer.ask(
                    {"do": "fork", "plan": plan.to_json()}, answered, [theirs.fileno()]
                )
            except ProtocolError as error:
                self._ended(child, str(error))
        return True

    def _begin(self, plan: Plan) -> Child:
        before = self._children.get(plan.name)
        child = Child(plan, plan.digest, started_at=self._reactor.now())
        child.failure_count = before.failure_count if before is not None else 0
        self._children[plan.name] = child
        return child

    def _spawn_template(self, plan: Plan) -> None:
        """The template is no fork of the supervisor, which has lmdb open: a fresh interpreter."""
        child = self._begin(plan)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        log = str(self._layout.log(plan.name))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        arguments = [sys.executable, "-m", "tierce.node.template", str(self._layout.data)]
        for name in plan.settings["plugins"]:
            arguments += ["--plugin", name]
        arguments += ["--control-fd", str(_CONTROL_FD)]
        with theirs:
            pid = os.posix_spawn(
                sys.executable,
                arguments,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CONTROL_FD),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
            )
        child.peer = self._peer(child, ours)
        # It serves as soon as it has imported everything; what is asked before waits for it.
        child.phase = "up"
        watched = self._watch(child, pid)
        assert watched, "a child of ours is a zombie at worst until it is reaped"
        self._changed(child)

    def _adopt(self, name: str) -> Child | None:
        """Take over the process that holds the lock of that name, None if nobody does."""
        holder = find_holder(self._layout.lock(name))
        if holder is None or not holder.pid:
            return None
        note = holder.note
        try:
            plan = Plan(name, Role(note["role"]), str(note["volume"]))
            digest = str(note["digest"])
        except (KeyError, ValueError):
            return None
        child = self._begin(plan)
        child.digest = digest
        again = find_holder(self._layout.lock(name)) if self._watch(child, holder.pid) else None
        if again is None or again.pid != holder.pid:
            # It ended just now; its pid may be another's already.
            self._let_go(child)
            del self._children[name]
            return None
        try:
            child.peer = self._peer(child, connect(self._layout.socket(name)))
        except ConflictError:
            # Alive but deaf: a plan that it can't match, so that it is stopped.
            child.digest = ""
        else:
            child.peer.ask({"do": "subscribe"}, lambda answer: self._subscribed(child, answer))
        return child

    def _subscribed(self, child: Child, answer: Message) -> None:
        phase = answer.get("ok", {}).get("phase")
        if isinstance(phase, str) and child.is_running:
            child.phase = phase
            self._changed(child)

    def tell(self, plan: Plan) -> None:
        """Tell a process what may change while it runs, if it was told something else."""
        child = self._children.get(plan.name)
        if child is None or child.phase != "up" or child.peer is None or child.told == plan.live:
            return
        child.told = plan.live
        if plan.live:
            child.peer.send({"do": "reconfigure", "live": plan.live})

    # -- watching ----------------------------------------------------------------------------------

    def _watch(self, child: Child, pid: int) -> bool:
        try:
            child.pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        child.pid = pid
        self._reactor.watch(child.pidfd, READABLE, lambda _events: self._exited(child))
        return True

    def _peer(self, child: Child, connection: socket.socket) -> Peer:
        def received(_peer: Peer, message: Message, descriptors: list[int]) -> None:
            close_all(descriptors)
            self._hear(child, message)

        # A process that hangs up has ended, which its pidfd tells.
        return Peer(self._reactor, connection, received, lambda _peer: None)

    def _hear(self, child: Child, message: Message) -> None:
        if "event" in message:
            with contextlib.suppress(ProtocolError):
                self._emit(event_from_json(message["event"]))
        phase = message.get("phase")
        if isinstance(phase, str) and child.is_running and phase != child.phase:
            child.phase = phase
            self._changed(child)

    def _exited(self, child: Child) -> None:
        if child.peer is not None:
            # What it said last may still lie in the socket.
            child.peer.drain()
        pid = child.pid
        self._let_go(child)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        self._ended(child, f"process {pid} ended")

    def _ended(self, child: Child, how: str) -> None:
        """Note the end, and when it may be started again."""
        self._let_go(child)
        now = self._reactor.now()
        name = child.plan.name
        was_asked = child.stop_asked_at is not None
        child.fenced = self._read_ended(name)
        if was_asked or child.fenced or child.plan.role is Role.POLICIES:
            child.failure_count = 0
            child.start_at = now
        else:
            recovered = now - child.started_at >= RECOVERED_S
            child.failure_count = 1 if recovered else child.failure_count + 1
            delay_s = restart_delay_s(child.failure_count, self._restart_delay_s_max)
            child.start_at = now + delay_s
            self._emit(
                Event(
                    "node.process.died",
                    f"{name}: {how} unasked; starting it again in {delay_s:g} s "
                    f"(its log: {self._layout.log(name)})",
                    subject_of(child.plan),
                    "warning",
                    {"pid": child.pid, "failures": child.failure_count},
                )
            )
        child.phase = "down"
        child.pid = 0
        child.stop_asked_at = None
        child.was_killed = False
        self._changed(child)

    def _read_ended(self, name: str) -> str:
        try:
            return self._layout.ended(name).read_text(errors="replace")
        except OSError:
            return ""

    def _let_go(self, child: Child) -> None:
        if child.peer is not None:
            child.peer.close()
            child.peer = None
        if child.pidfd >= 0:
            self._reactor.unwatch(child.pidfd)
            os.close(child.pidfd)
            child.pidfd = -1

    # -- stopping ----------------------------------------------------------------------------------

    def stop(self, name: str) -> None:
        """Ask a process to end orderly."""
        child = self._children[name]
        child.stop_asked_at = self._reactor.now()
        self._signal(child, signal.SIGTERM)

    def kill(self, name: str) -> None:
        """End a process that did not stop in time."""
        child = self._children[name]
        child.was_killed = True
        asked_at = child.stop_asked_at
        assert asked_at is not None, "nobody is killed who was not asked"
        self._emit(
            Event(
                "node.process.killed",
                f"{name} (process {child.pid}) did not stop within "
                f"{self._reactor.now() - asked_at:.0f} s and was killed",
                subject_of(child.plan),
                "warning",
                {"pid": child.pid},
            )
        )
        self._signal(child, signal.SIGKILL)

    def _signal(self, child: Child, number: signal.Signals) -> None:
        if child.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(child.pidfd, number)


def describe(child: Child) -> dict[str, Any]:
    """Return a process as JSON values, for `tierce volume show`."""
    return {
        "name": child.plan.name,
        "pid": child.pid or None,
        "phase": "fenced" if child.fenced else child.phase,
        "failures": child.failure_count,
    }
