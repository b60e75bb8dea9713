"""One I/O that was written down, drawn as text: its stages below each other, each at its time."""

from __future__ import annotations

from tierce.process.telling import format_time
from tierce.services import TraceRecord
from tierce.spans import SpanNode, spans_of

#: The narrowest that the bars get; what has no room for more is wider than the terminal.
BAR_WIDTH_MIN = 12
_BAR = "="
_HEADING = ("stage", "start", "took", "own")
_NS_PER_US, _NS_PER_MS, _NS_PER_S = 1_000, 1_000_000, 1_000_000_000


def draw(record: TraceRecord, width: int) -> list[str]:
    """Return the lines of one I/O: what it was, its stages with their start, length and own time,
    and which of them it was waited for longest."""
    nodes = spans_of(record)
    names = _names(nodes)
    rows = [
        (name, *(_time(ns) for ns in (node.start_ns, node.elapsed_ns, node.self_ns)))
        for name, node in zip(names, nodes, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(_HEADING, *rows, strict=True)]
    bar_width = max(width - sum(widths) - 2 * len(widths), BAR_WIDTH_MIN)
    lines = [_title(record), _line(_HEADING, widths, "")]
    lines += [
        _line(row, widths, _bar(node, record.elapsed_ns, bar_width))
        for row, node in zip(rows, nodes, strict=True)
    ]
    return [*lines, _slowest(nodes)]


def _title(record: TraceRecord) -> str:
    kinds = {"sampled": record.is_sampled, "slow": record.is_slow}
    what = f"{record.operation.upper()} of {record.length} bytes at {record.offset}"
    if record.batch > 1:
        what += f" (one of {record.batch} that were answered together)"
    if record.code != "good":
        what += f" failed: {record.code}"
    kind = " and ".join(word for word, holds in kinds.items() if holds)
    return f"{format_time(record.start_ns)} {kind}: {what}, trace {record.trace_id}"


def _names(nodes: tuple[SpanNode, ...]) -> list[str]:
    depths: list[int] = []
    for node in nodes:
        depths.append(0 if node.parent < 0 else depths[node.parent] + 1)
    return [f"{'  ' * depth}{label(node)}" for depth, node in zip(depths, nodes, strict=True)]


def label(node: SpanNode) -> str:
    """Return what a stage is called: "jiva.replica/replica-2"."""
    return f"{node.name}/{node.member}" if node.member else node.name


def _line(cells: tuple[str, ...], widths: list[int], bar: str) -> str:
    name, *numbers = cells
    columns = [f"{text:>{size}}" for text, size in zip(numbers, widths[1:], strict=True)]
    return "  ".join([f"{name:{widths[0]}}", *columns, bar]).rstrip()


def _bar(node: SpanNode, whole_ns: int, width: int) -> str:
    """Return a stage's bar: at its place, and one character at least."""
    whole_ns = max(whole_ns, 1)
    first = min(node.start_ns * width // whole_ns, width - 1)
    last = max(-(-node.end_ns * width // whole_ns), first + 1)
    return " " * first + _BAR * (last - first)


def _slowest(nodes: tuple[SpanNode, ...]) -> str:
    slowest = max(nodes, key=lambda node: node.self_ns)
    share = slowest.self_ns / max(nodes[0].elapsed_ns, 1)
    what = "between its stages" if slowest.parent < 0 else f"in {label(slowest)}"
    return f"{share:.0%} of its time was spent {what}: {_time(slowest.self_ns)}"


def _time(ns: int) -> str:
    if ns < _NS_PER_MS:
        return f"{ns / _NS_PER_US:.1f} us"
    if ns < _NS_PER_S:
        return f"{ns / _NS_PER_MS:.2f} ms"
    return f"{ns / _NS_PER_S:.3f} s"
