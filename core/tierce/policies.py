"""Policies: what a handler is asked, and what it may answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from tierce.actions import ActionCall
from tierce.spec import Event


@attrs.frozen(kw_only=True)
class Policy:
    """One policy document, as its handler sees it.

    Attributes:
        kind: Its kind.
        name: Its name, unique among the documents.
        parameters: Instance of the handler's option class.
    """

    kind: str
    name: str
    parameters: Any


@attrs.frozen(kw_only=True)
class Evaluation:
    """What a handler wants for one document, now.

    Attributes:
        settings: Live options of volumes that are to have these values while the document says so:
            by volume, then by part as the config file names its options ("options", "filters[0]",
            "frontend_options", "exports[0].options"), then by option. What the document does not
            say any more has the volume's own value again. Of two documents that want different
            values of one option the first by name has its own, and the other one is told.
        actions: What core is to carry out; each is told by an event, done or not. The document is
            not evaluated again while one of them is under way.
        events: What is to be reported.
        next_at: When it is to be evaluated again though nothing has changed, in seconds since the
            epoch; None: not before documents or volumes change.
    """

    settings: Mapping[str, Mapping[str, Mapping[str, Any]]] = attrs.field(factory=dict)
    actions: tuple[ActionCall, ...] = ()
    events: tuple[Event, ...] = ()
    next_at: float | None = None


class PolicyHandler(Protocol):
    """What the factory of a `PolicyHandlerDescription` names: a function.

    Thread: main thread, of the process that evaluates policies.
    Blocking: briefly: it is interrupted after 5 s.
    Failure: the document is told by name (`policy.failed`) and tried again after a minute; other
        documents are evaluated.
    Since: contract 2.
    """

    def __call__(
        self, policy: Policy, volumes: Mapping[str, Mapping[str, Any]], now: float
    ) -> Evaluation:
        """Say what is wanted for one document, from what is given and nothing else: the settings
        of the volumes that it selects, by name and as they are without any policy, and the time
        in seconds since the epoch."""
        ...
