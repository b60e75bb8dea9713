"""The process that evaluates policy documents, each by its handler.

It is started when documents or volumes have changed, and when a document is due; while one of them
is due soon it stays, so that a handler that wants something every second costs no process every
second. Each document is on its own: one that raises, hangs or ends the process costs itself, is
told by name, and is tried again later.

What a handler asks for is asked of the server's socket, as any command asks. While an action of a
document is under way the document is not evaluated again. What a document sets of volumes lies in a
file that the server reads (`tierce.process.wanted_settings`); a document that fails goes on setting
what it has set.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from tierce.actions import ActionCall
from tierce.codec import from_json, to_json
from tierce.errors import TierceError, explain
from tierce.node.policy_answers import checked
from tierce.node.timebox import TooLongError, limited
from tierce.policies import Evaluation, Policy
from tierce.process.asking import Asker
from tierce.process.messages import Command, Message, close_all
from tierce.process.paths import replace_file
from tierce.process.process_loop import Process, log_story
from tierce.process.settings import load_policy_options
from tierce.process.wanted_settings import Wanted, read_wanted, write_wanted
from tierce.reactor import Timer
from tierce.registry import Registry, resolve
from tierce.spec import Event

#: One document may take so long.
TIME_BOX_S = 5.0
#: The process stays while a document is due within so long.
LINGER_S = 60.0
#: A document that failed is tried again after so long, and one that is due at once not before.
FAILED_AGAIN_S = 60.0
PERIOD_S_MIN = 0.1
#: That an action was done is told at once, then as often as this, with how often it was.
TOLD_PERIOD_S = 60.0


@attrs.define(eq=False)
class Document:
    """One document, and when it is due.

    Attributes:
        kind: Its kind.
        name: Its name.
        parameters: Its parameters as JSON values.
        volumes: The volumes that it is about, by name, as JSON values.
        due_at: When it is evaluated next, in seconds since the epoch; None: not by itself.
    """

    kind: str
    name: str
    parameters: Mapping[str, Any]
    volumes: Mapping[str, Any]
    due_at: float | None = 0.0


@attrs.define(eq=False)
class Done:
    """How often an action was done since that was told, and when it was."""

    told_at: float
    count: int = 0


def start_policies(process: Process, registry: Registry) -> PoliciesProcess:
    """Evaluate what there is, and stay while more is due soon."""
    asker = Asker(process.reactor, process.paths)
    return PoliciesProcess(process, registry, asker.ask)


class PoliciesProcess:
    """The documents in this process.

    Args:
        process: The process.
        registry: The plugins.
        ask: Asks the server: (message, answered).
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self,
        process: Process,
        registry: Registry,
        ask: Callable[[Message, Callable[[Message], None]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.commands: Mapping[str, Command] = {"evaluate": self._evaluate_anew}
        self._process = process
        self._registry = registry
        self._ask = ask
        self._clock = clock
        self._documents: list[Document] = []
        #: What each document sets, as the server knows it.
        self._wanted: Wanted = read_wanted(process.paths.policy_settings)
        #: Documents with actions under way, and how many.
        self._acting: dict[str, int] = {}
        self._done: dict[tuple[str, str], Done] = {}
        self._timer: Timer | None = None
        self._is_over = False
        self._read()
        self._put_aside_the_fatal()
        self._process.reactor.call_soon(self._go_on)

    def close(self, closed: Callable[[], None]) -> None:
        """Be done; an action that is under way goes on without us."""
        self._is_over = True
        closed()

    # -- what is due -------------------------------------------------------------------------------

    def _evaluate_anew(self, _message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        if not self._is_over:
            self._read()
            self._go_on()
        # Else the file stays, for the process that comes after this one.
        return {}

    def _read(self) -> None:
        path = self._process.paths.policies
        with contextlib.suppress(FileNotFoundError):
            documents = json.loads(path.read_bytes())
            # It may hold secrets.
            path.unlink()
            self._documents = [from_json(Document, values) for values in documents]
            self._forget_others({document.name for document in self._documents})

    def _forget_others(self, names: Collection[str]) -> None:
        """Forget what documents set that are gone, as the server does: one of the same name that
        comes later is another one."""
        kept = {name: one for name, one in self._wanted.items() if name in names}
        if kept != self._wanted:
            self._wanted = kept
            # On a full disk it stays there until the next document sets something else.
            with contextlib.suppress(OSError):
                write_wanted(self._process.paths.policy_settings, kept)

    def _put_aside_the_fatal(self) -> None:
        """Leave the document for later by which the process before this one has ended."""
        path = self._process.paths.policy_under_way
        with contextlib.suppress(OSError):
            name = path.read_text(errors="replace")
            path.unlink()
            for document in self._documents:
                if document.name == name:
                    self._fail(document, "its handler ended the process that evaluates it")

    def _go_on(self) -> None:
        """Evaluate one document that is due; the next one later, so that the loop goes on."""
        if self._is_over:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        ready = [one for one in self._documents if one.name not in self._acting]
        times = [one.due_at for one in ready if one.due_at is not None]
        next_at = min(times, default=None)
        if next_at is not None and next_at <= now:
            self._evaluate(next(one for one in ready if one.due_at == next_at), now)
            self._process.reactor.call_soon(self._go_on)
        elif next_at is not None and next_at <= now + LINGER_S:
            self._timer = self._process.reactor.call_later(next_at - now, self._go_on)
        elif not self._acting:
            self._is_over = True
            # The supervisor starts the next process then.
            self._process.show({"next_at": next_at, "is_done": True})
            self._process.close()

    def _evaluate(self, document: Document, now: float) -> None:
        under_way = self._process.paths.policy_under_way
        document.due_at = None
        with contextlib.suppress(OSError):
            replace_file(under_way, document.name.encode())
        try:
            evaluation = limited(lambda: self._call(document, now), TIME_BOX_S)
        except TooLongError:
            self._fail(document, f"its handler takes longer than {TIME_BOX_S:g} s")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's: it costs itself
            log_story(error)
            self._fail(document, explain(error))
        else:
            self._carry_out(document, evaluation, now)
        with contextlib.suppress(OSError):
            under_way.unlink()

    def _call(self, document: Document, now: float) -> Evaluation:
        options = load_policy_options(self._registry, document.kind, document.parameters)
        handler = resolve(self._registry.policy_handlers[document.kind].factory)
        policy = Policy(kind=document.kind, name=document.name, parameters=options)
        assert callable(handler), "a policy handler's factory is a function"
        return checked(handler(policy, document.volumes, now), document.volumes)

    def _fail(self, document: Document, why: str) -> None:
        document.due_at = self._clock() + FAILED_AGAIN_S
        origin = self._registry.origin("policy handler", document.kind)
        message = (
            f"policy {document.name}: {why} (handler {document.kind} of {origin}); it is "
            f"tried again in {FAILED_AGAIN_S:.0f} s"
        )
        subject = f"policy/{document.name}"
        self._process.emit(Event("policy.failed", message, subject, "error"))

    # -- what it wants -----------------------------------------------------------------------------

    def _carry_out(self, document: Document, evaluation: Evaluation, now: float) -> None:
        if evaluation.next_at is not None:
            document.due_at = max(evaluation.next_at, now + PERIOD_S_MIN)
        for event in evaluation.events:
            self._process.emit(event)
        self._set(document, {name: one for name, one in evaluation.settings.items() if one})
        if evaluation.actions:
            self._acting[document.name] = len(evaluation.actions)
        for call in evaluation.actions:
            self._act(document.name, call)

    def _set(self, document: Document, settings: Mapping[str, Any]) -> None:
        """Let the server know what a document sets, where that is something else than before."""
        settings = json.loads(json.dumps(settings))
        if settings == self._wanted.get(document.name, {}):
            return
        wanted = {**self._wanted, document.name: settings}
        try:
            write_wanted(self._process.paths.policy_settings, wanted)
        except OSError as error:
            self._fail(document, f"what it sets can't be noted: {explain(error)}")
            return
        self._wanted = wanted
        # A server that is not there reads it when it comes.
        with contextlib.suppress(TierceError):
            self._ask({"do": "policy-settings"}, lambda _answer: None)

    def _act(self, name: str, call: ActionCall) -> None:
        def answered(answer: Message) -> None:
            self._tell(name, call, answer)
            self._acting[name] -= 1
            if not self._acting[name]:
                del self._acting[name]
                self._process.reactor.call_soon(self._go_on)

        try:
            self._ask({"do": "act", **to_json(call)}, answered)
        except TierceError as error:
            answered({"error": explain(error)})

    def _tell(self, name: str, call: ActionCall, answer: Message) -> None:
        subject = f"policy/{name}"
        if "error" in answer:
            message = f"policy {name}: {call.title} was not done: {answer['error']}"
            self._process.emit(Event("policy.action-failed", message, subject, "error"))
            return
        now = self._clock()
        done = self._done.setdefault((name, call.title), Done(now - TOLD_PERIOD_S))
        done.count += 1
        if now - done.told_at < TOLD_PERIOD_S:
            return
        times = f" ({done.count} times)" if done.count > 1 else ""
        message = f"policy {name}: {call.title} is done{times}"
        fields = {"result": answer.get("ok", {}), "count": done.count}
        self._done[name, call.title] = Done(now)
        self._process.emit(Event("policy.acted", message, subject, "info", fields))
