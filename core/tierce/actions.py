"""Actions: how whatever runs is managed.

A part (an engine's device, a filter, a front end, a member, a service) may have the two methods of
`Managed`. Whoever runs the part finds them by name, checks the arguments, and gives the answer on.
A part without the methods has no actions. `Reconfigured` is what a part with live options has.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from tierce.errors import PluginError, UsageError
from tierce.options import NoOptions

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
#: W3C Trace Context: version, trace id, span id, flags.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@attrs.frozen(kw_only=True)
class Action:
    """Something that can be asked of a part.

    Attributes:
        name: How it is asked for; small letters, digits and hyphens.
        summary: One sentence for an operator.
        arguments: An option class (`tierce.option`): what it takes.
        result: An option class: what it answers with.
        is_long: It may take more than 10 s; it tells its progress meanwhile.
        is_repeatable: To do it a second time changes nothing more: whoever has lost the answer may
            ask again.
    """

    name: str
    summary: str
    arguments: type[Any] = NoOptions
    result: type[Any] = NoOptions
    is_long: bool = False
    is_repeatable: bool = False

    def __attrs_post_init__(self) -> None:
        # A stranger's declaration: it may be anything.
        name: Any = self.name
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise PluginError(
                f"an action is named by small letters, digits and hyphens, got {name!r}",
                plugin="action",
            )
        given: Any
        for what, given in (("arguments", self.arguments), ("result", self.result)):
            if not (isinstance(given, type) and attrs.has(given)):
                raise PluginError(
                    f"action {self.name!r}: `{what}` is an option class, got {given!r}",
                    plugin="action",
                )


@attrs.frozen(kw_only=True)
class ActionCall:
    """One action to be carried out by something that runs on this node.

    Attributes:
        volume: The volume; empty for a service of the node.
        service: The service of the node; empty for a volume.
        part: "engine", "filter.NAME", "frontend.NAME", "member.NAME", "service.NAME" (one that
            runs for this volume), "target" or "tracer"; of a service of the node nothing.
        action: The action's name.
        arguments: JSON values, as a config file would hold them.
        words: Arguments as somebody typed them, each as text: taken as JSON where the argument is
            not text.
        base: The folder that relative paths start from.
        traceparent: The span, as W3C's header has it, of what asks; empty if there is none. With
            it the event `action.done` tells how long the action took.
    """

    volume: str = ""
    service: str = ""
    part: str = ""
    action: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    words: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    base: str = "/"
    traceparent: str = ""

    def __attrs_post_init__(self) -> None:
        if bool(self.volume) == bool(self.service):
            raise UsageError("an action is asked of a volume or of a service: name one of them")
        if self.traceparent and not is_traceparent(self.traceparent):
            raise UsageError(
                f"traceparent is {self.traceparent[:80]!r}; expected W3C's 00-TRACE-SPAN-FLAGS"
            )

    @property
    def title(self) -> str:
        """How messages name it: "volume work: engine: resize"."""
        whose = f"volume {self.volume}: {self.part}" if self.volume else f"service {self.service}"
        return f"{whose}: {self.action}"


def is_traceparent(text: str) -> bool:
    """True if a text is a span as W3C's header `traceparent` has it."""
    return _TRACEPARENT.fullmatch(text) is not None


class Job:
    """One call of an action, as the part that carries it out sees it.

    It is answered exactly once, by `done` or `fail`, on the data thread, from within `manage` or
    later.

    Args:
        answered: Gets the first answer: the result, or the error.
        progressed: Gets the share that is done, from 0 to 1, and what is being done.
        blamed: Gets what the part did wrong.
        tell: Makes a call on the data thread, for a part that is called on another one; None: its
            calls come on that thread alone.

    Thread: data thread; of a part that `manage` is called of on another thread, any thread.
    Blocking: no.
    Failure: a call from another thread raises a RuntimeError and is told by name.
    Since: contract 2.
    """

    def __init__(
        self,
        answered: Callable[[Any, Exception | None], None],
        progressed: Callable[[float, str], None],
        blamed: Callable[[str], None],
        tell: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._answered = answered
        self._progressed = progressed
        self._blamed = blamed
        self._tell = tell
        self._thread = threading.get_ident()
        self._cancelled: list[Callable[[], None]] = []
        self.is_answered = False
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """True once nobody waits for the answer any more: undo what can be undone, and stop. It is
        answered all the same."""
        return self._is_cancelled

    def when_cancelled(self, call: Callable[[], None]) -> None:
        """Call once, on the data thread, if the job is cancelled before it is answered; now, if it
        has been cancelled already."""

        def noted() -> None:
            if self._is_cancelled and not self.is_answered:
                call()
            else:
                self._cancelled.append(call)

        self._on_data_thread("told what a cancellation does", noted)

    def progress(self, fraction: float, text: str = "") -> None:
        """Tell how far it is: from 0 to 1, and what is being done."""
        fraction, text = min(max(float(fraction), 0.0), 1.0), str(text)

        def told() -> None:
            if not self.is_answered:
                self._progressed(fraction, text)

        self._on_data_thread("told its progress", told)

    def done(self, result: Any = None) -> None:
        """Answer: it is done. `result` is an instance of the action's result class, or nothing
        where that has no fields.

        Failure: a second answer is dropped, one of another class is an error to who asked; both are
            told by name, as is a call from another thread.
        """
        self._answer(result, None)

    def fail(self, error: Exception | str) -> None:
        """Answer: it is not done, and why."""
        self._answer(None, UsageError(error) if isinstance(error, str) else error)

    def cancel(self) -> None:
        """Take the call back; core's own to call. Harmless once it is answered."""
        if self.is_answered or self._is_cancelled:
            return
        self._is_cancelled = True
        for call in self._cancelled:
            call()

    def _answer(self, result: Any, error: Exception | None) -> None:
        def answer() -> None:
            if self.is_answered:
                self._blamed("answered twice")
                return
            self.is_answered = True
            self._cancelled.clear()
            self._answered(result, error)

        self._on_data_thread("answered", answer)

    def _on_data_thread(self, what: str, call: Callable[[], None]) -> None:
        if threading.get_ident() == self._thread:
            call()
        elif self._tell is not None:
            self._tell(call)
        else:
            self._blamed(f"{what} from another thread than the data thread")
            raise RuntimeError("a job is answered on the data thread only (see Reactor.offload)")


class Managed(Protocol):
    """What a part has that can be asked to do something while it runs.

    Thread: by concurrency, of an engine on the simple level; else the data thread.
    Blocking: yes, on a worker thread; `SERIAL` holds back the I/O of its volume meanwhile.
    Failure: who asked is told, and an event names the part.
    Since: contract 2.
    """

    def actions(self) -> tuple[Action, ...]:
        """Say what can be asked of it, the same as long as it lives. Called once.

        Thread: by concurrency; `PARALLEL` the data thread.
        Failure: it has no actions, which an event tells by name.
        """
        ...

    def manage(self, action: str, arguments: Any, job: Job) -> None:
        """Do one of them and answer by the job, now or later. `arguments` is an instance of the
        action's argument class. A TierceError that it raises is the answer."""
        ...


class Reconfigured(Protocol):
    """What a part has that has live options (`tierce.option(live=True)`).

    Thread: by concurrency, of an engine on the simple level; else the data thread.
    Blocking: yes, on a worker thread; `SERIAL` holds back the I/O of its volume meanwhile.
    Failure: the part goes on with its old options, and an event names it and its plugin.
    Since: contract 2.
    """

    def reconfigure(self, options: Any) -> None:
        """Take other live options: a whole new instance of the part's option class. Change nothing
        before what may raise."""
        ...
