"""Carrying actions to the processes that they are for, from the supervisor.

Nothing waits here: a call is sent on, and what comes back goes to who asked. A call is never sent a
second time: whoever has lost an answer decides whether to ask again (`Action.is_repeatable`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from tierce.actions import ActionCall
from tierce.errors import TemporaryError, TierceError, UsageError
from tierce.process.messages import Message, Peer
from tierce.process.plan import Role
from tierce.process.refusals import RefusedError
from tierce.reactor import Timer
from tierce.registry import nearest
from tierce.server.node import Node
from tierce.spec import Event
from tierce.supervision.child import Child

#: A part that gives no sign for so long is told of by name.
SILENCE_TOLD_S = 10.0
#: Calls under way at once; one more is refused.
CALL_COUNT_MAX = 1024

#: The parts of a volume that are processes of their own.
_OF_OTHERS = ("member.", "service.")

#: Gets the answer of a call, once: the result's JSON values, or why there is none.
Done = Callable[[Mapping[str, Any] | None, TierceError | None], None]
#: Gets how far a call is: from 0 to 1, and what is being done.
Progressed = Callable[[float, str], None]


@attrs.define(eq=False)
class Running:
    """A call that was sent and is not answered.

    Attributes:
        call: What was asked.
        done: Who hears the answer.
        peer: The process that carries it out.
        number: The call's number there.
        began: When it was asked for, by the loop's clock.
        timer: When its silence is told.
        is_over: It was answered, or nobody waits any more.
        has_told: Its silence was told.
        has_shown: It has told its progress, as long ones do.
    """

    call: ActionCall
    done: Done
    peer: Peer
    number: int = 0
    began: float = 0.0
    timer: Timer | None = None
    is_over: bool = False
    has_told: bool = False
    has_shown: bool = False

    def finish(self) -> bool:
        """End it; return False if it had ended before."""
        if self.is_over:
            return False
        self.is_over = True
        if self.timer is not None:
            self.timer.cancel()
        return True


class Acting:
    """Actions, by name, of everything that runs on this node.

    Args:
        node: Whose processes carry them out.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._running: set[Running] = set()

    def run(
        self, call: ActionCall, done: Done, progressed: Progressed | None = None
    ) -> Callable[[], None]:
        """Carry out an action.

        Args:
            call: Which, and of what.
            done: Gets the answer, once; from within where a process goes at that moment.
            progressed: Gets how far it is, any number of times.

        Returns: What cancels it: nothing is called any more then.

        Raises:
            UsageError: There is no such volume or member.
            TemporaryError: What should carry it out is not running, or too much is under way.
        """
        if len(self._running) >= CALL_COUNT_MAX:
            raise TemporaryError(f"{CALL_COUNT_MAX} actions are under way: try again later")
        child = self._find(call)
        assert child.peer is not None, "what runs is connected"
        running = Running(call, done, child.peer, began=self._node.reactor.now())

        def answered(answer: Message) -> None:
            self._answered(running, answer)

        def row(message: Message) -> None:
            self._progressed(running, message, progressed)

        running.number = child.peer.ask(_request(call), answered, row=row)
        if not running.is_over:
            self._running.add(running)
            self._watch(running)
        return lambda: self._cancel(running)

    def process(self, name: str, what: str) -> Child:
        """Return a process that can be asked; `what` is how the error names it.

        Raises:
            TemporaryError: It is not running.
        """
        child = self._node.children.get(name)
        if child is None or child.phase != "up" or child.peer is None or not child.peer.is_open:
            phase = "fenced" if child is not None and child.fenced else ""
            phase = phase or (child.phase if child is not None else "down")
            raise TemporaryError(f"{what} is not running (it is {phase}): nothing was done")
        return child

    def check_volume(self, name: str) -> None:
        """Raises:
        UsageError: There is no such volume.
        """
        self._node.inventory.find(name)

    # -- inside ------------------------------------------------------------------------------------

    def _find(self, call: ActionCall) -> Child:
        if call.service:
            return self.process(f"service.{call.service}", f"service {call.service}")
        self.check_volume(call.volume)
        if not call.part.startswith(_OF_OTHERS):
            return self.process(f"target.{call.volume}", f"volume {call.volume}")
        parts = self.others(call.volume)
        if call.part not in parts:
            near = nearest(call.part, parts)
            raise UsageError(f"volume {call.volume} has no part {call.part!r}{near}")
        return self.process(parts[call.part], f"{call.part} of {call.volume}")

    def others(self, volume: str) -> dict[str, str]:
        """Return the processes of a volume beside its target that are known, running or not: its
        members' and its services', by the part that they are."""
        found = {}
        for child in self._node.children.all():
            name = child.plan.name
            if child.plan.volume == volume and child.plan.role is not Role.TARGET:
                _role, first, second = name.split(".")
                is_member = child.plan.role is Role.MEMBER
                found[f"member.{second}" if is_member else f"service.{first}"] = name
        return found

    def _answered(self, running: Running, answer: Message) -> None:
        if not running.finish():
            return
        self._running.discard(running)
        self._tell_traced(running, str(answer.get("error", "")))
        if "error" in answer:
            running.done(None, _error(running.call, answer))
        else:
            running.done(dict(answer.get("ok", {})), None)

    def _tell_traced(self, running: Running, error: str) -> None:
        """Tell what somebody follows: of all others who asked is answered, and nobody else told."""
        call = running.call
        if not call.traceparent:
            return
        fields: dict[str, Any] = {"part": call.part, "action": call.action}
        fields["traceparent"] = call.traceparent
        fields["took_ns"] = round((self._node.reactor.now() - running.began) * 1e9)
        severity = "warning" if error else "info"
        text = f"{call.title}: {f'failed: {error}' if error else 'done'}"
        self._node.emit(Event("action.done", text, _subject(call), severity, fields))

    def _progressed(
        self, running: Running, message: Message, progressed: Progressed | None
    ) -> None:
        if running.is_over:
            return
        running.has_shown = True
        self._watch(running)
        if progressed is not None:
            row = message.get("row", {})
            progressed(float(row.get("fraction", 0.0)), str(row.get("text", "")))

    def _watch(self, running: Running) -> None:
        if running.timer is not None:
            running.timer.cancel()
        reactor = self._node.reactor
        running.timer = reactor.call_later(SILENCE_TOLD_S, lambda: self._silent(running))

    def _silent(self, running: Running) -> None:
        """A part gives no sign: say so, and don't let who asked wait for what is not long."""
        call = running.call
        why = f"{call.title}: no answer and no progress for {SILENCE_TOLD_S:.0f} s"
        if not running.has_told:
            running.has_told = True
            fields = {"part": call.part, "action": call.action}
            self._node.emit(Event("action.unanswered", why, _subject(call), "warning", fields))
        if not running.has_shown:
            self._cancel(running)
            running.done(None, TemporaryError(f"{why}; it may have been done: look before asking"))

    def _cancel(self, running: Running) -> None:
        if running.finish():
            self._running.discard(running)
            running.peer.send({"do": "cancel", "call": running.number})


def _subject(call: ActionCall) -> str:
    return f"volume/{call.volume}" if call.volume else f"service/{call.service}"


def _request(call: ActionCall) -> Message:
    return {
        "do": "act",
        # In its own process a service is a part like others.
        "part": call.part or "service",
        "action": call.action,
        "arguments": dict(call.arguments),
        "words": dict(call.words),
        "base": call.base,
    }


def _error(call: ActionCall, answer: Message) -> TierceError:
    if "exit_code" in answer:
        return RefusedError(str(answer["error"]), int(answer["exit_code"]))
    # The process itself has gone, or knows no actions.
    return TemporaryError(f"{call.title}: {answer['error']}; it may have been done")
