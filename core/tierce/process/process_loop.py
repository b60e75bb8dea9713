"""What every process but the supervisor and the fork server is made of: lock, loop, control, log.

A data process never needs the supervisor. It has a session of its own, ignores the terminal,
answers on its control socket to whoever comes, and ends on SIGTERM only: orderly. What it
wants to tell while nobody listens waits in a bounded queue and lies in its log.
"""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tierce.codec import to_json
from tierce.errors import PluginError, ProtocolError, TierceError, UsageError, explain
from tierce.libc import libc
from tierce.process.epoll import EpollReactor
from tierce.process.loggers import log_as, log_no_more
from tierce.process.logs import rotate_output
from tierce.process.managing import Manager
from tierce.process.messages import Command, ControlServer, Message, Peer, close_all
from tierce.process.paths import Paths, listen
from tierce.process.plan import EXIT_FAILED, EXIT_ORDERLY, Plan, Role
from tierce.process.rounds import SlowRounds
from tierce.process.signals import caught_signals
from tierce.process.telling import log_line, stamped
from tierce.process.whereabouts import answer_no_more, answer_where
from tierce.reactor import HELD_NS
from tierce.spec import Event
from tierce.state import Lock, acquire

#: Events that wait for a supervisor; the oldest go first, the log has them all.
EVENT_BACKLOG_MAX = 256
#: prctl(2).
_PR_SET_NAME = 15
#: Replaces the kernel's boot id, for tests that play a loss of power. Nothing else may set it.
BOOT_ID_VARIABLE = "TIERCE_BOOT_ID"


class Body(Protocol):
    """What a role puts into a process."""

    @property
    def commands(self) -> Mapping[str, Command]:
        """The requests that it answers beside those of every process."""
        ...

    def close(self, closed: Callable[[], None]) -> None:
        """End orderly, then `closed()`. Called once."""
        ...


class Process:
    """This process, as its role sees it.

    Args:
        paths: Where things lie.
        plan: What it is to be.
        connection: The supervisor's end of it, None if nobody waits.
        reactor: Its loop.

    Raises:
        ConflictError: A process of this name is alive.
    """

    def __init__(
        self,
        paths: Paths,
        plan: Plan,
        connection: socket.socket | None,
        reactor: EpollReactor | None = None,
    ) -> None:
        self.paths = paths
        self.plan = plan
        self.phase = "starting"
        self.facts: dict[str, Any] = {}
        self.boot_id = read_boot_id()
        self._body: Body | None = None
        self._exit_code = EXIT_ORDERLY
        self._is_over = False
        self._backlog: collections.deque[Message] = collections.deque(maxlen=EVENT_BACKLOG_MAX)
        self._lock = take_process_lock(paths, plan)
        self.reactor = EpollReactor() if reactor is None else reactor
        # Not `log`: what is logged may come from any thread, and the log is put aside by the loop.
        self._logging = log_as(subject_of(plan), partial(write_log, plan.name))
        self._held = contextlib.ExitStack()
        # SIGTERM closes; what a terminal sends is not for us.
        self._held.enter_context(caught_signals(self.reactor, {signal.SIGTERM: self.close}))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        answer_where()
        rounds = SlowRounds(plan.name, subject_of(plan), self.reactor, self.emit)
        self.reactor.tell_slow(rounds.take)
        #: The actions of what lives here; the role adds its parts.
        self.manager = Manager(subject_of(plan), self.reactor, self.emit, log_story)
        self._control = ControlServer(
            self.reactor, listen(paths.socket(plan.name)), self._handle, self.manager.gone
        )
        if connection is not None:
            self._control.add(connection).is_subscribed = True

    # -- for the role ------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Report an event: to the log, and to the supervisor now or when there is one."""
        event = stamped(event)
        self.log(event)
        message = {"event": to_json(event)}
        try:
            is_told = self._control.tell(message)
        except ProtocolError:
            # Too long for a message: the log has it.
            return
        if not is_told:
            self._backlog.append(message)

    def log(self, event: Event) -> None:
        """Write an event to this process's log, and nowhere else."""
        write_log(self.plan.name, event)
        rotate_output(self.paths.log(self.plan.name))

    def show(self, facts: dict[str, Any]) -> None:
        """Show the supervisor, now and whenever there is one, how things are; JSON values. Replaces
        what was shown before."""
        self.facts = facts
        self._control.tell({"facts": facts})

    def end(self, code: int) -> None:
        """End for good with this code, without closing anything orderly."""
        self._exit_code = code
        self._is_over = True
        self.reactor.stop()

    def run(
        self, start: Callable[[], Body], whose: Callable[[BaseException], str] = lambda _error: ""
    ) -> int:
        """Start the role and stay until it has closed; return the exit code.

        Args:
            start: Starts it.
            whose: Names the plugin whose mistake an error is; empty if it is none's.
        """
        try:
            self._body = start()
            if not self._is_over:
                self._set_phase("up")
                self.reactor.run()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever ends a process is told before
            log_story(error)
            self.emit(failure_of(self.plan, error, whose(error)))
            self._exit_code = EXIT_FAILED
        finally:
            self._let_go()
        return self._exit_code

    def close(self) -> None:
        """Begin the orderly end; harmless twice."""
        if self.phase == "closing":
            return
        self._set_phase("closing")
        self.manager.close()
        if self._body is None:
            self.reactor.stop()
        else:
            self._body.close(self.reactor.stop)

    # -- inside ------------------------------------------------------------------------------------

    def _set_phase(self, phase: str) -> None:
        self.phase = phase
        self._control.tell({"phase": phase})

    def _handle(self, peer: Peer, message: Message, descriptors: list[int]) -> None:
        began_ns = time.monotonic_ns()
        verb = str(message.get("do"))
        self._answer(verb, peer, message, descriptors)
        elapsed_ns = time.monotonic_ns() - began_ns
        if elapsed_ns > HELD_NS:
            asked = str(message.get("action")) if verb == "act" else verb
            self.reactor.held(f"the command {asked!r}", elapsed_ns)

    def _answer(self, verb: str, peer: Peer, message: Message, descriptors: list[int]) -> None:
        if verb in ("act", "cancel"):
            close_all(descriptors)
            (self.manager.act if verb == "act" else self.manager.cancel)(peer, message)
            return
        answer: Message
        try:
            answer = {"ok": self._carry_out(verb, peer, message, descriptors)}
        except TierceError as error:
            answer = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - a wrong message must not end a process
            log_story(error)
            answer = {"error": f"{self.plan.name} failed on {verb!r}: {explain(error)}"}
        if "id" in message:
            peer.send({"id": message["id"], **answer})
        elif "error" in answer:
            # Nobody waits for the answer, as with a handover: the log is who hears of it.
            self.log(Event("node.command.failed", str(answer["error"]), subject_of(self.plan)))

    def _carry_out(
        self, verb: str, peer: Peer, message: Message, descriptors: list[int]
    ) -> Message:
        """Return the answer to one request; whoever carries it out owns the descriptors."""
        if self._body is not None and verb in self._body.commands:
            return self._body.commands[verb](message, descriptors)
        close_all(descriptors)
        match verb:
            case "ping":
                # That the loop got here is the answer.
                return {}
            case "subscribe":
                self._subscribe(peer)
                return self._status()
            case "actions":
                return {"actions": self.manager.describe()}
            case "status":
                return self._status()
        raise UsageError(f"{self.plan.name} does not know {verb!r} now")

    def _status(self) -> Message:
        return {
            "pid": os.getpid(),
            "name": self.plan.name,
            "role": self.plan.role.value,
            "volume": self.plan.volume,
            "digest": self.plan.digest,
            "phase": self.phase,
            "facts": self.facts,
        }

    def _subscribe(self, peer: Peer) -> None:
        peer.is_subscribed = True
        while self._backlog:
            peer.send(self._backlog.popleft())

    def _let_go(self) -> None:
        self._control.close()
        # While the lock is held nobody else listens under this name.
        self.paths.socket(self.plan.name).unlink(missing_ok=True)
        answer_no_more()
        log_no_more(self._logging)
        self._held.close()
        self.reactor.close()
        self._lock.release()


def take_process_lock(paths: Paths, plan: Plan) -> Lock:
    """Take a process's lock, with its start data inside.

    Raises:
        ConflictError: A process of this name is alive.
    """
    note = {
        "name": plan.name,
        "role": plan.role.value,
        "volume": plan.volume,
        "digest": plan.digest,
        "started": round(time.time(), 3),
    }
    return acquire(paths.lock(plan.name), note, what=f"the place of process {plan.name}")


def read_boot_id() -> str:
    """Return what changes whenever the page cache was lost: the kernel's boot id."""
    replaced = os.environ.get(BOOT_ID_VARIABLE)
    return replaced or Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def failure_of(plan: Plan, error: BaseException, origin: str) -> Event:
    """Return the event that tells why a process ends, and whose mistake that is."""
    message = f"{plan.name}: {explain(error)}" + (f" (raised by {origin})" if origin else "")
    return Event("node.process.failed", message, subject_of(plan), "error")


def subject_of(plan: Plan) -> str:
    """Return what events about this process are about."""
    if not plan.volume:
        return f"process/{plan.name}"
    part = plan.name.partition(".")[2].partition(".")[2]
    if plan.role is Role.SERVICE:
        part = plan.name.removesuffix(f".{plan.volume}")
    return f"volume/{plan.volume}" + (f"/{part}" if part else "")


def write_log(process: str, event: Event) -> None:
    """Write an event as one JSON line to this process's log, which is its stderr."""
    # A full disk must not end who only wanted to tell something.
    with contextlib.suppress(OSError):
        sys.stderr.write(log_line(process, event))
        sys.stderr.flush()


def log_story(error: BaseException) -> None:
    """Write the traceback of a bug, ours or a plugin's, to this process's log; what we or the
    machine say of ourselves needs none."""
    if isinstance(error, PluginError) and error.__cause__ is not None:
        error = error.__cause__
    if not isinstance(error, TierceError | OSError):
        with contextlib.suppress(OSError):
            traceback.print_exception(error)


def name_process(name: str) -> None:
    """Show the name in `ps -o comm` and `top`, which cut it to 15 bytes."""
    libc().prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
