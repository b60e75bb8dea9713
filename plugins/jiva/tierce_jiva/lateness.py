"""Which replicas have left something unanswered, or have been away, for too long."""

from __future__ import annotations

from collections.abc import Iterable

from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.options import JivaOptions


def find_late(links: Links, options: JivaOptions) -> dict[str, str]:
    """Return the names of those that are late, each with the reason.

    Nobody is at fault yet: whether others have answered meanwhile is the caller's to weigh.
    """
    late: dict[str, str] = {}
    for link in links:
        asked, flush = link.oldest(), link.oldest_flush()
        if flush is not None and links.now - flush > options.flush_dead_s:
            late[link.name] = f"has not flushed for {options.flush_dead_s:g} s"
        if asked is not None and links.now - asked > options.dead_s:
            late[link.name] = f"has not answered for {options.dead_s:g} s"
    return late


def find_hung(links: Links, dead_s: float) -> list[Link]:
    """Return the connected replicas that have left a question unanswered for `dead_s` seconds;
    nobody if all of them have: then the fault may be ours, and asking anew would not help."""
    up = [link for link in links if link.state is not LinkState.DOWN]
    hung = [link for link in up if _has_left_a_question(link, links.now - dead_s)]
    return hung if len(hung) < len(up) else []


def _has_left_a_question(link: Link, before: float) -> bool:
    oldest = next(iter(link.questions.values()), None)
    return oldest is not None and oldest.asked_at < before


def find_lost(links: Links, names: Iterable[str], grace_s: float) -> set[str]:
    """Return those of `names` that are at fault, or whose connection has stayed away for
    `grace_s` seconds."""
    return {
        link.name
        for link in map(links.__getitem__, names)
        if link.fault or (not link.is_ready and links.now >= link.lost_at + grace_s)
    }
