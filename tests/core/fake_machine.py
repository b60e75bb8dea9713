"""A machine without processes: what would run in them are objects on the test's loop, which hold
their locks, listen on their sockets and answer as processes do. The supervisor can't tell."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import attrs

from core.fake_reactor import FakeReactor
from tierce.codec import from_json, to_json
from tierce.locking import lock_file
from tierce.node.working import work_off
from tierce.process.messages import ControlServer, Message, Peer, close_all
from tierce.process.paths import Paths, listen
from tierce.process.plan import FORK_SERVER, Plan, Role
from tierce.registry import Registry


@attrs.define
class Habits:
    """How programs of one name behave.

    Attributes:
        last_words: It ends at once, and says this.
        is_silent: It answers no ping.
        is_starting: It does not say that it is up.
        is_stubborn: It does not end when it is asked to.
        is_stuck: Not even when it is killed.
        facts: What it shows of itself.
    """

    last_words: str = ""
    is_silent: bool = False
    is_starting: bool = False
    is_stubborn: bool = False
    is_stuck: bool = False
    facts: dict[str, Any] = attrs.field(factory=dict)


class Program:
    """One process."""

    def __init__(self, machine: FakeMachine, plan: Plan, pid: int, connection: Any = None) -> None:
        self.machine = machine
        self.plan = plan
        self.pid = pid
        self.heard: list[Message] = []
        self.signals: list[signal.Signals] = []
        self.habits = machine.habits.setdefault(plan.name, Habits())
        self._watched, self._end = socket.socketpair()
        machine.programs[pid] = self
        machine.made.append(self)
        self._lock = os.open(machine.paths.lock(plan.name), os.O_RDWR | os.O_CREAT, 0o600)
        assert lock_file(self._lock), f"two processes have the name {plan.name}"
        note = to_json(plan) | {"digest": plan.digest, "pid": pid}
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps(note).encode(), 0)
        listener = listen(machine.paths.socket(plan.name))
        self._control = ControlServer(machine.reactor, listener, self._handle)
        if connection is not None:
            self._control.add(connection).is_subscribed = True
        if self.habits.last_words:
            self.say(event=failure(plan.name, self.habits.last_words))
            self.end()
        elif not self.habits.is_starting:
            self.say(facts=self.habits.facts, phase="up")

    def say(self, **message: Any) -> None:
        """Tell the supervisor something that it has not asked for."""
        self._control.tell(message)

    def show(self, **facts: Any) -> None:
        self.habits.facts |= facts
        self.say(facts=self.habits.facts)

    def answer_late(self, verb: str, **answer: Any) -> None:
        """Answer a request that it has kept."""
        (message, peer) = self.machine.kept.pop(verb)
        peer.send({"id": message["id"], **answer})

    def hang_up(self) -> None:
        """Lose every connection, and live on."""
        for peer in list(self._control._peers):
            peer.close()
            self._control._peers.discard(peer)

    def watch(self) -> int:
        return os.dup(self._watched.fileno())

    def take_signal(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if self.habits.is_stuck or (number == signal.SIGTERM and self.habits.is_stubborn):
            return
        self.end()

    def end(self) -> None:
        """End, as the kernel ends a process: everything of it is let go."""
        self._control.close()
        os.close(self._lock)
        self._end.close()
        self.machine.programs.pop(self.pid, None)
        self.machine.ended.append(self.plan.name)

    def close(self) -> None:
        if self.pid in self.machine.programs:
            self.end()
        self._watched.close()

    def status(self) -> Message:
        phase = "starting" if self.habits.is_starting else "up"
        return {"phase": phase, "facts": self.habits.facts}

    def _handle(self, peer: Peer, message: Message, descriptors: list[int]) -> None:
        self.heard.append(message)
        verb = message["do"]
        if verb == "fork":
            self._fork(peer, message, descriptors)
            return
        close_all(descriptors)
        if verb in self.machine.keeps:
            self.machine.kept[verb] = (message, peer)
        elif verb == "subscribe":
            peer.is_subscribed = True
            peer.send({"id": message["id"], "ok": self.status()})
        elif verb == "work":
            peer.send({"id": message["id"], "ok": work_off(self.machine.registry, message)})
        elif "id" in message and not self.habits.is_silent:
            peer.send({"id": message["id"], **self.machine.answers.get(verb, {"ok": {}})})

    def _fork(self, peer: Peer, message: Message, descriptors: list[int]) -> None:
        (descriptor,) = descriptors
        connection = socket.socket(fileno=descriptor)
        if self.machine.keeps_forks:
            self.machine.kept_forks.append((peer, message, connection))
            return
        self._forked(peer, message, connection)

    def _forked(self, peer: Peer, message: Message, connection: socket.socket) -> None:
        if self.machine.refuses_forks:
            connection.close()
            peer.send({"id": message["id"], "error": self.machine.refuses_forks})
            return
        made = self.machine.run(from_json(Plan, message["plan"]), connection)
        peer.send({"id": message["id"], "ok": {"pid": made.pid}})


class FakeMachine:
    """The System of a supervisor (tierce.supervision.system)."""

    def __init__(self, reactor: FakeReactor, paths: Paths) -> None:
        self.reactor = reactor
        self.paths = paths
        self.programs: dict[int, Program] = {}
        self.ended: list[str] = []
        self.reaped: list[int] = []
        listening = {"iscsi": {"127.0.0.1:0": "127.0.0.1:3260"}}
        self.habits = {"portal": Habits(facts={"listening": listening})}
        #: Answers of all programs, by the request's verb.
        self.answers: dict[str, Message] = {}
        #: Requests that are kept, not answered.
        self.keeps: set[str] = set()
        self.kept: dict[str, tuple[Message, Peer]] = {}
        self.refuses_forks = ""
        #: Forks are not answered until `fork_kept`.
        self.keeps_forks = False
        self.kept_forks: list[tuple[Peer, Message, socket.socket]] = []
        #: Raised by the next spawn.
        self.refusal: OSError | None = None
        self.adopts_orphans = False
        self._next_pid = 10_000_000
        #: The plugins of the processes that do works: those are really done.
        self.registry = Registry.load()
        self.made: list[Program] = []

    def run(self, plan: Plan, connection: socket.socket | None = None) -> Program:
        """Start a program, as `spawn` and the fork server do, or as one that was there before."""
        self._next_pid += 1
        return Program(self, plan, self._next_pid, connection)

    def program(self, name: str) -> Program:
        (found,) = [one for one in self.programs.values() if one.plan.name == name]
        return found

    def names(self) -> list[str]:
        """Name what lives."""
        return sorted(one.plan.name for one in self.programs.values())

    def fork_kept(self) -> None:
        """Carry out the forks that were kept."""
        kept, self.kept_forks = self.kept_forks, []
        for peer, message, connection in kept:
            self.program(FORK_SERVER)._forked(peer, message, connection)

    def habit(self, name: str, change: Callable[[Habits], None]) -> None:
        change(self.habits.setdefault(name, Habits()))

    def close(self) -> None:
        for one in self.made:
            one.close()
        for _peer, _message, connection in self.kept_forks:
            connection.close()

    # -- as System ---------------------------------------------------------------------------------

    def adopt_orphans(self) -> None:
        self.adopts_orphans = True

    def spawn(self, plan: Plan, paths: Paths, connection: socket.socket) -> int:
        assert plan.role is Role.FORK_SERVER
        assert paths.data == self.paths.data
        if self.refusal is not None:
            raise self.refusal
        return self.run(plan, connection.dup()).pid

    def watch(self, pid: int) -> int:
        if pid not in self.programs:
            raise ProcessLookupError(3, "No such process")
        return self.programs[pid].watch()

    def signal(self, descriptor: int, number: signal.Signals) -> None:
        wanted = os.fstat(descriptor).st_ino
        for one in list(self.programs.values()):
            if os.fstat(one._watched.fileno()).st_ino == wanted:
                one.take_signal(number)

    def reap(self, pid: int) -> None:
        self.reaped.append(pid)


def failure(name: str, why: str) -> dict[str, Any]:
    """Return the last words of a process as it sends them."""
    return {
        "code": "node.process.failed",
        "message": f"{name}: {why}",
        "subject": f"process/{name}",
        "severity": "error",
        "fields": {},
    }
