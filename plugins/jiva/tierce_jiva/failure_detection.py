"""Which replicas have left something unanswered, or have been away, for too long."""

from __future__ import annotations

from collections.abc import Iterable

from tierce_jiva.batch import Batch
from tierce_jiva.links import Link, Links, LinkState, PendingCall
from tierce_jiva.options import JivaOptions

#: To be late alone leaves no fewer copies than this.
COPY_COUNT_MIN = 2
#: So many times as long is waited where nobody answers.
ALL_HUNG = 4


def find_late(links: Links, options: JivaOptions) -> dict[str, str]:
    """Return the names of those that are late, each with the reason; the latest first.

    Nobody is at fault yet: whether others have answered meanwhile is the caller's to weigh.
    """
    late: dict[str, tuple[float, str]] = {}
    for link in links:
        asked, flush = link.oldest(is_flush=False), link.oldest(is_flush=True)
        if flush is not None and links.now - flush > options.flush_dead_s:
            late[link.name] = flush, f"has not flushed for {options.flush_dead_s:g} s"
        if asked is not None and links.now - asked > options.dead_s:
            late[link.name] = asked, f"has not answered for {options.dead_s:g} s"
    return {name: reason for name, (_, reason) in sorted(late.items(), key=lambda item: item[1])}


def choose_late(
    links: Links, options: JivaOptions, members: Iterable[str], required: Iterable[str]
) -> dict[str, str]:
    """Return who is to be voted out for being late, each with the reason.

    Only beside one that has answered, or shows life where the other shows none: else nobody is at
    fault. Never below two copies, but for one that has shown no life at all for `alone_after_s`.

    Args:
        links: The replicas.
        options: What the operator set.
        members: The in-sync set.
        required: Everyone that must hold what is acknowledged.
    """
    late = find_late(links, options)
    waited_for = {name for name in required if links[name].is_ready}
    if waited_for <= set(late):
        late = {
            n: why for n, why in late.items() if has_shown_no_life(links[n], links.now, options)
        }
    if waited_for <= set(late):
        return {}
    staying = {name for name in members if links[name].is_ready and not links[name].fault}
    chosen = {}
    for name, reason in late.items():
        link = links[name]
        if name not in waited_for or link.fault:
            continue
        is_dead = has_shown_no_life(link, links.now, options)
        if len(staying - {name}) >= COPY_COUNT_MIN or is_dead:
            chosen[name] = reason
            staying.discard(name)
    return chosen


def has_shown_no_life(link: Link, now: float, options: JivaOptions) -> bool:
    """True if it was asked something `alone_after_s` ago and has said nothing since."""
    asked = link.oldest(is_flush=False)
    return asked is not None and now - max(link.heard_at, asked) > options.alone_after_s


def forgive(links: Links, seconds: float, now: float) -> None:
    """This process has stood still for so long until now: what it was waiting for may have come
    meanwhile."""
    items: dict[int, Batch | PendingCall] = {}
    for link in links:
        for waiting in (link.writes, link.flushes, link.calls):
            items.update((id(item), item) for item in waiting.values())
        link.heard_at = min(link.heard_at + seconds, now)
        link.lost_at = min(link.lost_at + seconds, now)
    for item in items.values():
        item.asked_at = min(item.asked_at + seconds, now)


def find_hung(links: Links, dead_s: float) -> list[Link]:
    """Return the connected replicas that have left a call unanswered for `dead_s` seconds; if
    all of them have, those that have for much longer: then the fault may be ours, and asking anew
    would not help, but for what a connection has lost."""
    up = [link for link in links if link.state is not LinkState.DOWN]
    hung = [link for link in up if _has_left_a_call(link, links.now - dead_s)]
    if len(hung) < len(up):
        return hung
    return [link for link in up if _has_left_a_call(link, links.now - ALL_HUNG * dead_s)]


def _has_left_a_call(link: Link, before: float) -> bool:
    oldest = next(iter(link.calls.values()), None)
    return oldest is not None and oldest.asked_at < before


def find_lost(links: Links, names: Iterable[str], grace_s: float) -> set[str]:
    """Return those of `names` that are at fault, or whose connection has stayed away for
    `grace_s` seconds."""
    return {
        link.name
        for link in map(links.__getitem__, names)
        if link.fault or (not link.is_ready and links.now >= link.lost_at + grace_s)
    }
