"""What the server tells services: how its processes are, and what has happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from tierce.errors import UsageError
from tierce.process.messages import Message
from tierce.server.conditions import Conditions
from tierce.server.node import Node
from tierce.spec import VolumeSpec

T = TypeVar("T")

#: Processes, or volumes, in one row: their facts are short, and a row is one message.
ROW_COUNT = 32
#: Events in one answer.
EVENT_COUNT = 256
#: An event is 2 KiB at most, and so are a volume's labels: a row holds as many as fit a message.
_LONG_ROW_COUNT = 16


def tell(node: Node, conditions: Conditions, message: Message) -> Iterator[Message]:
    """Yield the answer to "processes" or "events"."""
    if message["do"] == "events":
        yield from _events(node, message)
    else:
        yield from _processes(node, conditions)


def _processes(node: Node, conditions: Conditions) -> Iterator[Message]:
    """Yield the rows about every process, then about every volume: health, shape, labels."""
    processes: list[dict[str, Any]] = [
        {
            "name": child.plan.name,
            "state": child.phase,
            "facts": child.facts,
            "pid": child.pid if child.is_running else 0,
        }
        for child in node.children.all()
    ]
    for some in _portions(processes, ROW_COUNT):
        yield {"row": {"processes": some}}
    # As they were found last, some seconds ago: to look again would keep the loop for long.
    known = conditions.known
    health = [(name, condition.health.value) for name, condition in known.items()]
    for part in _portions(health, ROW_COUNT):
        yield {"row": {"health": dict(part)}}
    shapes = [(name, _shape(one.volume)) for name, one in node.inventory.served.items()]
    for some_shapes in _portions(shapes, ROW_COUNT):
        yield {"row": {"volumes": dict(some_shapes)}}
    served = node.inventory.served.items()
    labels = [(name, dict(one.volume.labels)) for name, one in served if one.volume.labels]
    for some_labels in _portions(labels, _LONG_ROW_COUNT):
        yield {"row": {"labels": dict(some_labels)}}
    yield {"ok": {}}


def _shape(volume: VolumeSpec) -> dict[str, Any]:
    return {
        "uuid": volume.uuid,
        "engine": volume.engine,
        "frontends": [export.frontend for export in volume.exports],
        "size_bytes": volume.size_bytes,
        "block_size": volume.block_size,
    }


def _events(node: Node, message: Message) -> Iterator[Message]:
    """Yield the events after the number `after`, some of them; and the last number of all.

    Without `after`: none of them, and the last number alone.
    """
    after = message.get("after")
    if after is not None and not isinstance(after, int):
        raise UsageError(f"events after {after!r}: expected a number")
    last = node.inventory.last_event()
    if after is not None:
        events = node.inventory.events_after(after, EVENT_COUNT)
        for some in _portions(events, _LONG_ROW_COUNT):
            yield {"row": {"events": some}}
    yield {"ok": {"last": last}}


def _portions(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), count):
        yield items[start : start + count]
