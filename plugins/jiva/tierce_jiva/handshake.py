"""Greeting a replica and getting its promise, the same on the first connection and on each later
one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tierce import ProtocolError
from tierce_jiva.ballot import NO_BALLOT, Ballot, is_number
from tierce_jiva.findings import Greeted, Promised, Refused
from tierce_jiva.links import Head, Link, Links, LinkState, control_of
from tierce_jiva.promise import Promise
from tierce_jiva.target_actions import Agenda
from tierce_jiva.wire import Frame, Kind


class Handshake:
    """hello -> welcome, prepare -> promise.

    Args:
        links: The replicas.
        uuid: The volume's uuid.
        agenda: Where it says who has come how far.
    """

    def __init__(self, links: Links, uuid: str, agenda: Agenda) -> None:
        self._links = links
        self._uuid = uuid
        self._agenda = agenda

    def greet(self, link: Link) -> None:
        """Say who we are and whom we want."""
        link.state = LinkState.GREETING
        link.connection += 1
        message = {"kind": "hello", "uuid": self._uuid, "replica": link.name}
        self._links.ask(link, message, partial(self._welcome, link))

    def prepare(self, link: Link) -> None:
        """Ask for the promise of our ballot."""
        assert self._links.ballot != NO_BALLOT
        link.state = LinkState.PREPARING
        # What it forgets of that (an older copy was put back) it must not be taught again.
        is_again = link.has_promised == self._links.ballot
        message = {"kind": "prepare", "again": is_again}
        self._links.ask(link, message, partial(self._promise, link))

    def refusal(self, link: Link, message: Mapping[str, Any]) -> None:
        """A replica has refused something."""
        try:
            promised = Ballot.from_json(message.get("promised"))
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        why, text = str(message.get("why")), str(message.get("text", ""))
        self._agenda.findings.append(Refused(link, why, promised, text))

    def _welcome(self, link: Link, frame: Frame | None) -> None:
        if frame is None:
            return
        message = control_of(frame, "welcome")
        try:
            promised = Ballot.from_json(message["promised"])
            link.boot_id = str(message["boot_id"])
            link.knows_status = Kind.STATUS.name in list(message.get("knows", ()))
            link.head = Head.from_json(message, link.connection)
            incarnation = _incarnation(message)
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"a welcome that is none: {error}") from error
        link.welcomed = promised
        link.is_restarted = link.is_restarted or link.incarnation not in {0, incarnation}
        link.incarnation = incarnation
        link.state = LinkState.GREETED
        self._agenda.findings.append(Greeted(link, promised))

    def _promise(self, link: Link, frame: Frame | None) -> None:
        if frame is None:
            return
        link.promise = Promise.from_json(control_of(frame, "promise"), self._links.regions)
        link.state = LinkState.READY
        self._agenda.findings.append(Promised(link))


def _incarnation(message: Mapping[str, Any]) -> int:
    found = message["incarnation"]
    if not is_number(found):
        raise ValueError("incarnation is no number")
    return int(found)
