"""The processes of one supervisor: starting, adopting, watching, stopping.

A process is watched by its pidfd, which works for processes that another one forked, and across
restarts of the supervisor. All but the fork server are forked by it; the supervisor makes itself
their subreaper, so that what a dead fork server leaves behind is reaped here.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

from tierce.codec import to_json
from tierce.errors import ConflictError, TierceError, explain
from tierce.process.descriptors import demand
from tierce.process.messages import Message, Peer, close_all
from tierce.process.paths import Paths, connect
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import subject_of
from tierce.reactor import READABLE, Reactor
from tierce.spec import Event
from tierce.state import find_holder
from tierce.supervision.child import Child, event_of
from tierce.supervision.reconcile import RECOVERED_S
from tierce.supervision.repeats import Repeats
from tierce.supervision.system import Linux, System

#: Forks asked of the fork server that it has not answered: the rest waits for its turn.
FORK_COUNT_MAX = 64
#: A living process whose connection was lost is connected to again after so long.
RECONNECT_S = 1.0


class Children:
    """All processes of this supervisor.

    Args:
        paths: Where things lie.
        reactor: The supervisor's loop.
        emit: Reports an event.
        changed: Called with a child whose phase or facts have changed, which has ended or has
            recovered from failures, and whose fork was answered: others waited for their turn.
        restart_delay_s_max: The longest back-off.
        system: What starts, watches and signals them.
    """

    def __init__(
        self,
        paths: Paths,
        reactor: Reactor,
        *,
        emit: Callable[[Event], None],
        changed: Callable[[Child], None],
        restart_delay_s_max: float,
        system: System | None = None,
    ) -> None:
        self._system = system if system is not None else Linux()
        self._paths = paths
        self._reactor = reactor
        self._emit = emit
        self._changed = changed
        self.restart_delay_s_max = restart_delay_s_max
        self._forking = 0
        self._repeats = Repeats()
        self._children: dict[str, Child] = {}
        self._system.adopt_orphans()

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

    def limit_delay(self, restart_delay_s_max: float) -> None:
        """Take another longest back-off; who waits longer already waits as long at most."""
        self.restart_delay_s_max = restart_delay_s_max
        latest = self._reactor.now() + restart_delay_s_max
        for child in self._children.values():
            child.start_at = min(child.start_at, latest)

    def detach(self) -> None:
        """Let go of every process without stopping any."""
        for child in self._children.values():
            self._let_go(child)

    # -- starting ----------------------------------------------------------------------------------

    def adopt_living(self) -> list[Child]:
        """Take over what a former supervisor left running."""
        found = [
            self._adopt(path.stem)
            for path in sorted(self._paths.run.glob("*.lock"))
            if not path.name.startswith(".")
        ]
        return [child for child in found if child is not None]

    def start(self, plan: Plan) -> bool:
        """Start a process, or adopt the one of its name that is alive already.

        Returns: False if there is nobody to ask now; a change will come when there is.
        """
        try:
            return self._start(plan)
        except (OSError, TierceError) as error:
            # No descriptor, no memory, a full or read-only disk: it is this process that is not
            # started now, and nobody else's matter.
            child = self._begin(plan)
            child.reason = explain(error)
            self._ended(child)
            return True

    def _start(self, plan: Plan) -> bool:
        if self._adopt(plan.name) is not None:
            return True
        # Each fork under way will want one more, to be watched by.
        demand(2 + self._forking)
        if plan.role is Role.FORK_SERVER:
            self._spawn_fork_server(plan)
            return True
        fork_server = self._children.get(Role.FORK_SERVER.value)
        if fork_server is None or fork_server.stop_asked_at is not None:
            # The one that is going was made for other plugins; its successor will be asked.
            return False
        if fork_server.peer is None or not fork_server.peer.is_open:
            return False
        if self._forking >= FORK_COUNT_MAX:
            return False
        self._fork(plan, fork_server, fork_server.peer)
        return True

    def _fork(self, plan: Plan, fork_server: Child, peer: Peer) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = self._begin(plan)
        child.told = plan.live
        child.peer = self._peer(child, ours)

        def answered(answer: Message) -> None:
            self._forking -= 1
            fork_server.pulse.has_answered = True
            if child.phase == "down" or child.pid:
                return
            pid = answer.get("ok", {}).get("pid", 0)
            if "error" in answer:
                child.reason = str(answer["error"])
            if not (pid and self._watch(child, pid)):
                # It lived so shortly that its last words may be all that is left of it.
                child.drain()
                self._ended(child)
            elif child.stop_asked_at is not None:
                self._signal(child, signal.SIGTERM)
            # Others may have waited for their turn.
            self._changed(child)

        with theirs:
            peer.ask({"do": "fork", "plan": to_json(plan)}, answered, [theirs.fileno()])
        self._forking += 1

    def _begin(self, plan: Plan) -> Child:
        before = self._children.get(plan.name)
        child = Child(plan, plan.digest, started_at=self._reactor.now())
        if before is not None:
            child.failures = before.failures
            self._let_go(before)
        self._children[plan.name] = child
        return child

    def _spawn_fork_server(self, plan: Plan) -> None:
        """Start it in a fresh interpreter: a fork of the supervisor would have lmdb open."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = self._begin(plan)
        child.peer = self._peer(child, ours)
        with theirs:
            pid = self._system.spawn(plan, self._paths, theirs)
        # It serves as soon as it has imported everything; what is asked before waits for it.
        child.phase = "up"
        watched = self._watch(child, pid)
        assert watched, "a child of ours is a zombie at worst until it is reaped"
        self._changed(child)

    def _adopt(self, name: str) -> Child | None:
        """Take over the process that holds the lock of that name, None if nobody does."""
        holder = find_holder(self._paths.lock(name))
        if holder is None or not holder.pid:
            return None
        note = holder.note
        try:
            plan = Plan(name, Role(note["role"]), str(note["volume"]))
            digest = str(note["digest"])
        except (KeyError, ValueError):
            return None
        child = self._begin(plan)
        child.digest, child.is_adopted = digest, True
        again = find_holder(self._paths.lock(name)) if self._watch(child, holder.pid) else None
        if again is None or again.pid != holder.pid:
            # It ended just now; its pid may be another's already.
            self._let_go(child)
            del self._children[name]
            return None
        try:
            child.peer = self._peer(child, connect(self._paths.socket(name)))
        except ConflictError:
            # Alive but deaf: a plan that it can't match, so that it is stopped.
            child.digest = ""
        else:
            self._subscribe(child)
        return child

    def _subscribe(self, child: Child) -> None:
        def answered(answer: Message) -> None:
            self._hear(child, answer.get("ok", {}))

        assert child.peer is not None, "connected before"
        child.peer.ask({"do": "subscribe"}, answered)

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
        """Watch a process; return False if it is gone, or can't be watched (why: `reason`)."""
        child.pid = pid
        try:
            child.pidfd = self._system.watch(pid)
        except OSError as error:
            if not isinstance(error, ProcessLookupError):
                child.reason = explain(error)
            return False
        self._reactor.watch(child.pidfd, READABLE, lambda _events: self._exited(child))
        return True

    def _peer(self, child: Child, connection: socket.socket) -> Peer:
        def received(_peer: Peer, message: Message, descriptors: list[int]) -> None:
            close_all(descriptors)
            self._hear(child, message)

        return Peer(self._reactor, connection, received, lambda _peer: self._lost(child))

    def _lost(self, child: Child) -> None:
        """It has hung up: it ends, which its pidfd tells; or else it is there and is asked anew."""
        child.peer = None
        self._reactor.call_later(RECONNECT_S, lambda: self._reconnect(child))

    def _reconnect(self, child: Child) -> None:
        is_current = self._children.get(child.plan.name) is child and child.is_running
        if not is_current or not child.pid or child.peer is not None:
            return
        try:
            child.peer = self._peer(child, connect(self._paths.socket(child.plan.name)))
        except (ConflictError, OSError):
            self._lost(child)
        else:
            self._subscribe(child)
            # What it was told over the connection that broke may have been lost.
            self._changed(child)

    def _hear(self, child: Child, message: Message) -> None:
        if "event" in message:
            self._hear_event(child, event_of(child, message["event"]))
        facts, phase = message.get("facts"), message.get("phase")
        has_changed = False
        if isinstance(facts, dict) and facts != child.facts:
            child.facts, has_changed = facts, True
        if isinstance(phase, str) and child.is_running and phase != child.phase:
            child.phase, has_changed = phase, True
            # Its loop is what it says this from.
            child.pulse.has_answered |= phase == "up"
            if phase == "up" and child.failures.count:
                self._reactor.call_later(RECOVERED_S, lambda: self._recovered(child))
        if has_changed:
            self._changed(child)

    def _hear_event(self, child: Child, event: Event) -> None:
        if event.code == "node.process.failed":
            # Its last words; they are told with its end.
            child.reason = event.message.removeprefix(f"{child.plan.name}: ")
            return
        told = self._repeats.take(event, self._reactor.now())
        if told is not None:
            self._emit(told)

    def _recovered(self, child: Child) -> None:
        """It has stayed up: its failures are forgotten, and that they are over is told."""
        name, count = child.plan.name, child.failures.count
        if self._children.get(name) is child and child.phase == "up" and count:
            child.failures.clear()
            message = f"{name} is up again" + (f", after {count} failures" if count > 1 else "")
            self._emit(Event("node.process.recovered", message, subject_of(child.plan)))
            self._changed(child)

    def _exited(self, child: Child) -> None:
        child.drain()
        pid = child.pid
        self._let_go(child)
        self._system.reap(pid)
        self._ended(child)

    def _ended(self, child: Child) -> None:
        """Note the end, and when it may be started again."""
        self._let_go(child)
        now = self._reactor.now()
        child.fenced = self._paths.why_ended(child.plan.name) or str(child.facts.get("fenced", ""))
        if child.fenced or child.stop_asked_at is not None or child.plan.role.is_called_for:
            if child.reason and not child.fenced:
                self._emit(self._failure(child, "node.process.failed", child.reason))
            child.failures.clear()
            child.start_at = now
        else:
            child.start_at = now + self._count_failure(child, now)
        child.phase = "down"
        child.pid = 0
        child.facts = {}
        child.stop_asked_at = None
        child.killed_at = None
        self._changed(child)

    def _count_failure(self, child: Child, now: float) -> float:
        """Count an end that nobody asked for, and tell it; return how long to wait."""
        failures, name = child.failures, child.plan.name
        lived_s = now - child.started_at
        delay_s = failures.add(child.reason, lived_s, now, self.restart_delay_s_max)
        how_often = failures.tell(now)
        if how_often is None:
            return delay_s
        what = child.reason or f"process {child.pid} ended unasked"
        again = f"starting it again in {delay_s:g} s"
        if how_often:
            again = f"this has happened {how_often}; it is tried again every {delay_s:g} s"
        text = f"{what}; {again} (its log: {self._paths.log(name)})"
        self._emit(self._failure(child, "node.process.died", text))
        return delay_s

    def _failure(self, child: Child, code: str, text: str) -> Event:
        severity = "error" if child.reason else "warning"
        fields = {"pid": child.pid, "failures": child.failures.count}
        name = child.plan.name
        return Event(code, f"{name}: {text}", subject_of(child.plan), severity, fields)

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
        now, asked_at = self._reactor.now(), child.stop_asked_at
        assert asked_at is not None, "nobody is killed who was not asked"
        self._tell(child, f"did not stop within {now - asked_at:.0f} s and was killed")
        self.kill_silent(child)

    def kill_silent(self, child: Child) -> None:
        """End a process that does not answer; what is told of it is the caller's to say."""
        child.killed_at = self._reactor.now()
        self._signal(child, signal.SIGKILL)

    def give_up(self, name: str) -> None:
        """Leave a process behind that is not gone though it was killed."""
        child = self._children.pop(name)
        why = "it waits in the kernel, perhaps for a disk, and is left behind"
        self._tell(child, f"is still there though it was killed: {why}")
        self._let_go(child)

    def _tell(self, child: Child, what: str) -> None:
        message = f"{child.plan.name} (process {child.pid}) {what}"
        subject, fields = subject_of(child.plan), {"pid": child.pid}
        self._emit(Event("node.process.killed", message, subject, "warning", fields))

    def _signal(self, child: Child, number: signal.Signals) -> None:
        if child.pidfd >= 0:
            self._system.signal(child.pidfd, number)
