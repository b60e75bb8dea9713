"""What is published as JSON that fits its area of the page: lists are cut where they don't, and how
much of them is missing is said beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tierce.statuses import LEFT_OUT

#: What such a note takes beside the key's name, and what parts two items of a list.
_NOTE_BYTES, _COMMA_BYTES = 32, 2


def encode_cut(published: Mapping[str, Mapping[str, Any]], bytes_max: int) -> bytes:
    """Return JSON of at most so many bytes, of each owner's mapping."""
    data = _encode(published)
    if len(data) <= bytes_max:
        return data
    cut = {owner: dict(shown) for owner, shown in published.items()}
    while len(data) > bytes_max:
        owner, longest = max(
            ((owner, key) for owner, shown in cut.items() for key in shown),
            key=lambda place: len(_encode(cut[place[0]][place[1]])),
        )
        shown, note = cut[owner], longest + LEFT_OUT
        value = shown[longest]
        kept = _first_of(value, len(data) - bytes_max + len(note) + _NOTE_BYTES)
        if kept:
            shown[longest] = kept
        else:
            del shown[longest]
        whole = published[owner][longest]
        shown[note] = len(whole) - len(kept) if isinstance(value, list) else 1
        data = _encode(cut)
    return data


def _encode(value: object) -> bytes:
    # What is no JSON value in a plugin's details is shown as text.
    return json.dumps(value, default=str).encode()


def _first_of(value: object, excess: int) -> list[Any]:
    """Return so much of a list from its start that its JSON is shorter by `excess` bytes; nothing
    of what is no list."""
    items = list(value) if isinstance(value, list) else []
    while items and excess > 0:
        excess -= len(_encode(items.pop())) + _COMMA_BYTES
    return items
