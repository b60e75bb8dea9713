"""The supervisor's side of policies: when their process runs, and what it is given."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tierce.errors import explain
from tierce.inventory.planning import enabled_plugins, policy_documents
from tierce.process.paths import replace_file
from tierce.process.plan import Plan, Role
from tierce.reactor import Timer
from tierce.server.node import Node
from tierce.spec import Event
from tierce.supervision.child import Child

#: A process that ended before it was done is started again after so long.
AGAIN_S = 5.0
#: One that is asked to stop has as long before it is killed.
STOP_S = 10.0
#: The wall clock may be set: how long a document is waited for is looked at as often as this.
LOOK_S = 60.0


class Evaluating:
    """Lets the documents be evaluated when they or the volumes have changed, and when one is due.

    Args:
        node: Its volumes and processes.
        look: Called when something is to be done.
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self, node: Node, look: Callable[[], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._node = node
        self._look_soon = look
        self._clock = clock
        self._is_due = True
        #: The process that has been told of the file that lies there.
        self._told_pid = 0
        #: What the last process said before it ended: when a document is due next.
        self._next_at: float | None = None
        self._is_done = True
        self._timer: Timer | None = None

    def changed(self) -> None:
        """Documents or volumes may have changed."""
        self._is_due = True

    def look(self) -> None:
        """See to it that what is to be evaluated is."""
        if self._is_due and not self._write():
            return
        path = self._node.paths.policies
        if not path.exists():
            # Everything has been read.
            return
        children = self._node.children
        plugins = list(enabled_plugins(self._node.inventory.config.registry))
        plan = Plan(Role.POLICIES.value, Role.POLICIES, settings={"plugins": plugins})
        child = children.get(plan.name)
        if child is None or not child.is_running:
            if self._is_done or self._timer is None:
                self._start(plan)
        elif child.stop_asked_at is not None:
            # What it does not read any more is for the next one.
            return
        elif child.digest != plan.digest:
            # Its handlers are those of other plugins; the next one comes as soon as it has ended.
            self._is_done, self._next_at = True, None
            children.stop(plan.name)
            self._node.reactor.call_later(STOP_S, lambda: self._kill(child))
        elif child.phase == "up" and child.peer is not None and self._told_pid != child.pid:
            self._told_pid, self._is_done = child.pid, False
            child.peer.send({"do": "evaluate"})

    def heard(self, child: Child) -> None:
        """The process has said something, or has ended."""
        if child.facts.get("is_done"):
            self._is_done = True
            next_at = child.facts.get("next_at")
            self._next_at = float(next_at) if next_at is not None else None
        if child.phase == "down" and self._timer is None:
            if not self._is_done:
                self._next_at = self._clock() + AGAIN_S
            self._wait()

    def _start(self, plan: Plan) -> None:
        self._cancel()
        self._is_done = False
        self._node.children.start(plan)

    def _kill(self, child: Child) -> None:
        """It was asked to stop and hangs in a handler: it has nothing that could be lost."""
        if child.is_running:
            self._node.children.kill_silent(child)

    def _wait(self) -> None:
        """Look again when the next document is due."""
        self._timer = None
        if self._next_at is None:
            return
        delay_s = self._next_at - self._clock()
        if delay_s <= 0:
            self._next_at = None
            self._is_due = True
            self._look_soon()
        else:
            self._timer = self._node.reactor.call_later(min(delay_s, LOOK_S), self._wait)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self) -> bool:
        """Put the documents and their volumes where the process reads them; return False if that
        can't be done now."""
        self._is_due = False
        self._told_pid = 0
        documents = policy_documents(self._node.inventory)
        child = self._node.children.get(Role.POLICIES.value)
        path = self._node.paths.policies
        try:
            if not documents and (child is None or not child.is_running):
                # What a former server left there is nobody's any more.
                path.unlink(missing_ok=True)
                self._node.paths.policy_settings.unlink(missing_ok=True)
                return False
            # A file, because a thousand volumes don't fit into a control message.
            replace_file(path, json.dumps(documents).encode())
        except OSError as error:
            why = f"policies wait for the next change: {explain(error)}"
            event = Event("policy.failed", why, "process/policies", "error")
            self._node.emit(event)
            return False
        return True
