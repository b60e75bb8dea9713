"""The actions of what lives in this process.

A part's mistake costs the one call: what `manage` raises is the answer, and is told by an event
that names the part; so is a second answer, one of the wrong class, and one from another thread.
What is never answered is told of by the supervisor, which also notices a process that hangs
(tierce.server.acting).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.actions import Action, Job
from tierce.codec import to_json
from tierce.config import options_from_mapping
from tierce.config.schema import options_schema
from tierce.errors import PluginError, TemporaryError, TierceError, UsageError, explain
from tierce.options import NoOptions
from tierce.process.messages import Message, Peer
from tierce.reactor import Reactor
from tierce.registry import ScalarType, is_promise, nearest, option_types
from tierce.spec import Event
from tierce.volume.calling import HERE, Caller

#: Jobs under way at once in one process; one more is refused.
JOB_COUNT_MAX = 64
#: Progress is passed on once in so long: a loop that tells each of its steps floods nobody.
PROGRESS_S = 0.1


@attrs.frozen
class _Part:
    """Something that has actions.

    Attributes:
        manage: Carries one out.
        actions: Its actions, by name.
        caller: Calls it where it is called.
    """

    manage: Callable[[str, Any, Job], object]
    actions: Mapping[str, Action]
    caller: Caller


class Manager:
    """Carries out the actions of one process's parts.

    Args:
        subject: What events are about.
        reactor: The loop.
        emit: Reports an event.
        log_story: Writes the traceback of a part's bug to the log.
    """

    def __init__(
        self,
        subject: str,
        reactor: Reactor,
        emit: Callable[[Event], None],
        log_story: Callable[[BaseException], None],
    ) -> None:
        self._subject = subject
        self._reactor = reactor
        self._emit = emit
        self._log_story = log_story
        self._parts: dict[str, _Part | None] = {}
        self._origins: dict[str, str] = {}
        self._jobs: dict[tuple[Peer, int], Job] = {}
        self._is_closed = False

    def add(self, name: str, part: object, origin: str = "", caller: Caller = HERE) -> None:
        """Let the actions of a part be asked for. One that declares them wrongly has none.

        Args:
            name: The part's name.
            part: The part.
            origin: Who brings it, as messages name it; empty for core's own.
            caller: Calls it where it is called.
        """
        self._parts[name] = None
        self._origins[name] = f" (a part of {origin})" if origin else ""
        declare, manage = getattr(part, "actions", None), getattr(part, "manage", None)
        if declare is None:
            return
        try:
            actions = _declared(caller.run(declare), manage)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's mistake must not end its volume
            self._log_story(error)
            self._blame("action.misdeclared", name, f"its actions are wrong: {explain(error)}")
            return
        if actions:
            by_name = {one.name: one for one in actions}
            self._parts[name] = _Part(manage, by_name, caller)  # type: ignore[arg-type]

    def describe(self) -> list[Message]:
        """Return all actions as JSON values."""
        return [
            {
                "part": name,
                "action": action.name,
                "summary": action.summary,
                "is_long": action.is_long,
                "is_repeatable": action.is_repeatable,
                "arguments": options_schema(action.arguments),
                "result": options_schema(action.result),
            }
            for name, part in self._parts.items()
            if part is not None
            for action in part.actions.values()
        ]

    def act(self, peer: Peer, message: Message) -> None:
        """Carry out an action; it is answered now or later."""
        number = message.get("id")
        if not isinstance(number, int):
            return
        try:
            self._begin(peer, number, message)
        except TierceError as error:
            peer.send({"id": number, **_refusal(error)})

    def cancel(self, peer: Peer, message: Message) -> None:
        """Cancel what that peer had asked for by that number, if it is under way."""
        job = self._jobs.pop((peer, message.get("call", 0)), None)
        if job is not None:
            self._take_back(job)

    def gone(self, peer: Peer) -> None:
        """Cancel all that a peer had asked for."""
        for key in [key for key in self._jobs if key[0] is peer]:
            self._take_back(self._jobs.pop(key))

    def close(self) -> None:
        """Take no more: the process ends."""
        self._is_closed = True

    # -- inside ------------------------------------------------------------------------------------

    def _begin(self, peer: Peer, number: int, message: Message) -> None:
        name, wanted = str(message.get("part", "")), str(message.get("action", ""))
        part, action = self._find(name, wanted)
        if self._is_closed:
            raise TemporaryError(f"{name}: it is being closed: {wanted!r} was not done")
        if len(self._jobs) >= JOB_COUNT_MAX:
            raise TemporaryError(f"{JOB_COUNT_MAX} actions are under way: try again later")
        arguments = _parse(name, action, message)
        job = self._job(peer, number, name, action, part.caller)
        self._jobs[peer, number] = job
        if action.is_long:
            # Who asked knows by that to wait for it.
            peer.send(_progress(number, 0.0, ""))

        def ended(result: Any, error: BaseException | None) -> None:
            if error is None and is_promise(result):
                error = TypeError("manage is an `async def`, which nobody awaits")
            if error is not None:
                self._raised(name, action, job, error)

        part.caller.call(lambda: part.manage(wanted, arguments, job), ended)

    def _find(self, name: str, wanted: str) -> tuple[_Part, Action]:
        if name not in self._parts:
            raise UsageError(f"there is no part {name!r}{nearest(name, self._parts)}")
        part = self._parts[name]
        if part is None:
            raise UsageError(f"{name} has no actions")
        if wanted not in part.actions:
            raise UsageError(f"{name} has no action {wanted!r}{nearest(wanted, part.actions)}")
        return part, part.actions[wanted]

    def _job(self, peer: Peer, number: int, name: str, action: Action, caller: Caller) -> Job:
        told_at = self._reactor.now()

        def answered(result: Any, error: Exception | None) -> None:
            # None: it was cancelled, and nobody waits.
            if self._jobs.pop((peer, number), None) is not None:
                peer.send({"id": number, **self._answer(name, action, result, error)})

        def progressed(fraction: float, text: str) -> None:
            nonlocal told_at
            now = self._reactor.now()
            if now - told_at >= PROGRESS_S and (peer, number) in self._jobs:
                told_at = now
                peer.send(_progress(number, fraction, text[:1000]))

        def blamed(what: str) -> None:
            self._blame("action.misanswered", name, f"action {action.name!r} was {what}")

        return Job(answered, progressed, blamed, None if caller.is_here else caller.tell)

    def _answer(self, name: str, action: Action, result: Any, error: Exception | None) -> Message:
        if error is not None:
            return _refusal(error)
        try:
            return {"ok": _encode(name, action, result)}
        except Exception as wrong:  # noqa: BLE001 - a value of a plugin's own may raise anything
            what = f"action {action.name!r} was answered wrongly: {explain(wrong)}"
            self._blame("action.misanswered", name, what)
            why = f"{name}: {what}; it may have been done"
            return {"error": why, "exit_code": PluginError.exit_code}

    def _raised(self, name: str, action: Action, job: Job, error: BaseException) -> None:
        is_bug = not isinstance(error, TierceError | OSError)
        if is_bug or job.is_answered:
            self._log_story(error)
            self._blame("action.failed", name, f"action {action.name!r} raised {explain(error)}")
        if not job.is_answered:
            if is_bug:
                who = f"{name}{self._origins[name]}"
                why = f"{who}: action {action.name!r} failed: {explain(error)}"
                error = TierceError(f"{why}; it may have been done in part")
            assert isinstance(error, Exception), "what is no Exception is a bug, and was replaced"
            job.fail(error)

    def _take_back(self, job: Job) -> None:
        try:
            job.cancel()
        except Exception as error:  # noqa: BLE001 - a part's own callback
            self._log_story(error)

    def _blame(self, code: str, name: str, what: str) -> None:
        text = f"{name}{self._origins[name]}: {what}"
        self._emit(Event(code, text, self._subject, "error", {"part": name}))


def _declared(actions: Any, manage: Any) -> tuple[Action, ...]:
    found = tuple(actions)
    if found and not callable(manage):
        raise UsageError("it has actions and no `manage`")
    names = [one.name for one in found if isinstance(one, Action)]
    if len(names) != len(found) or len(set(names)) != len(names):
        raise UsageError("expected a tuple of tierce.Action, each with a name of its own")
    for one in found:
        # What can't be parsed is an error now, and not when somebody asks.
        option_types(one.arguments)
        option_types(one.result)
    return found


def _parse(name: str, action: Action, message: Message) -> Any:
    arguments = message.get("arguments", {})
    words = message.get("words", {})
    if not isinstance(arguments, dict) or not isinstance(words, dict):
        raise UsageError(f"{name}: the arguments of {action.name!r} are no mapping")
    types = option_types(action.arguments)
    typed = {}
    for key, text in words.items():
        kind = types.get(key)
        is_text = isinstance(kind, ScalarType) and kind.kind is str
        typed[key] = text if is_text else _value(str(text))
    return options_from_mapping(
        action.arguments,
        arguments | typed,
        base=Path(str(message.get("base", "/"))),
        origin=f"{name}: action {action.name}",
    )


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _encode(name: str, action: Action, result: Any) -> Message:
    """Return a result as JSON values: such as its class would be made from again."""
    if result is None and action.result is NoOptions:
        return {}
    if not isinstance(result, action.result):
        raise UsageError(f"expected a {action.result.__name__}, got a {type(result).__name__}")
    options_from_mapping(
        action.result, to_json(result), base=Path("/"), origin=f"{name}: its result"
    )
    shown: Message = to_json(result, hide_secrets=True)
    return shown


def _progress(number: int, fraction: float, text: str) -> Message:
    return {"id": number, "row": {"fraction": fraction, "text": text}}


def _refusal(error: Exception) -> Message:
    # No config file is wrong, but what was asked.
    code = error.exit_code if isinstance(error, TierceError) else TierceError.exit_code
    if isinstance(error, UsageError):
        code = UsageError.exit_code
    return {"error": explain(error), "exit_code": code}
