"""Tables of what was measured, in Markdown."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import seeing
from benchmarks.cases import BARS, BASELINE, CASES, IDLE_CPU_MS_MAX, Case

Rounds = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]


def median(rounds: Sequence[Mapping[str, float]], key: str) -> float:
    """Return the median of one figure over the rounds."""
    return statistics.median(one[key] for one in rounds)


def shown(case: Case, value: float) -> str:
    """Return a figure with its unit."""
    if case.unit == "p50_us":
        return f"{value:.1f} us"
    if case.unit == "bytes_per_s":
        return f"{value / 1e6:.0f} MB/s"
    return f"{value / 1e3:.1f}k"


def main_table(rounds: Rounds) -> list[str]:
    """Median (lowest-highest), p50/p99 us, server CPU us per I/O, generator's CPU share."""
    servers = list(rounds)
    lines = ["| case | " + " | ".join(servers) + " |", "|---" * (len(servers) + 1) + "|"]
    for case in CASES:
        cells = []
        for server in servers:
            runs = rounds[server].get(case.name, [])
            if not runs:
                cells.append("")
                continue
            values = [one[case.unit] for one in runs]
            cells.append(
                f"**{shown(case, statistics.median(values))}** "
                f"({shown(case, min(values))}-{shown(case, max(values))}) "
                f"{median(runs, 'p50_us'):.0f}/{median(runs, 'p99_us'):.0f} "
                f"c{median(runs, 'server_us'):.1f} g{median(runs, 'cpu_share'):.2f}"
            )
        lines.append(f"| {case.name} | " + " | ".join(cells) + " |")
    return lines


def ratio(rounds: Rounds, server: str, case: Case, baseline: str) -> float | None:
    """Return the median over rounds of server / baseline, round by round."""
    ours, theirs = (rounds.get(name, {}).get(case.name, []) for name in (server, baseline))
    pairs = [a[case.unit] / b[case.unit] for a, b in zip(ours, theirs, strict=False)]
    return statistics.median(pairs) if pairs else None


def ratio_table(rounds: Rounds) -> list[str]:
    """Ratios to each peer in the same round; of latencies too (lower is better there)."""
    ours = [name for name in rounds if name not in {"tgt", "istgt"}]
    peers = [name for name in ("tgt", "istgt") if name in rounds]
    heads = [f"{server} / {peer}" for server in ours for peer in peers]
    lines = ["| case | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for case in CASES:
        found = [ratio(rounds, server, case, peer) for server in ours for peer in peers]
        cells = ["" if one is None else f"{one:.2f}" for one in found]
        note = " (p50, lower is better)" if case.unit == "p50_us" else ""
        lines.append(f"| {case.name}{note} | " + " | ".join(cells) + " |")
    return lines


def bar_table(rounds: Rounds) -> list[str]:
    """The bars, and whether this run reached them."""
    by_name = {case.name: case for case in CASES}
    lines = ["| bar | wanted | measured | |", "|---|---|---|---|"]
    for bar in BARS:
        found = ratio(rounds, bar.server, by_name[bar.case], BASELINE)
        if found is None:
            continue
        sign = "<=" if bar.at_most else ">="
        verdict = "met" if bar.is_met(found) else "**not met**"
        wanted = f"{sign} {bar.ratio}"
        lines.append(
            f"| {bar.server}, {bar.case} / {BASELINE} | {wanted} | {found:.2f} | {verdict} |"
        )
    return lines


def ceilings(rounds: Rounds) -> list[str]:
    """What the load generator itself can do: commands per second of its own CPU time."""
    lines = ["| case | generator's own ceiling |", "|---|---|"]
    for case in CASES:
        runs = [one for server in rounds.values() for one in server.get(case.name, [])]
        best = max((one["ceiling_iops"] for one in runs), default=0.0)
        lines.append(f"| {case.name} | {best / 1e3:.0f}k |")
    return lines


def extras(found: Mapping[str, Any]) -> list[str]:
    """Idle cost, memory, and what a flush does to reads."""
    lines: list[str] = []
    idle = found.get("idle")
    if idle:
        verdict = "met" if idle["data_ms"] <= IDLE_CPU_MS_MAX else "**not met**"
        lines += [
            "## Idle",
            "",
            f"{idle['volumes']} open volumes ({idle['engine']}), each with an idle session, "
            f"{idle['processes']} data processes: {idle['data_ms']:.1f} ms of CPU together in "
            f"{idle['seconds']} s (bar: {IDLE_CPU_MS_MAX:.0f} ms: {verdict}); supervisor, portal "
            f"and template {idle['other_ms']:.1f} ms.",
            "",
            "| process | RSS KiB | PSS KiB |",
            "|---|---|---|",
            *(f"| {m['name']} | {m['rss_kib']} | {m['pss_kib']} |" for m in idle["memory"]),
            "",
        ]
    if "seeing" in found:
        lines += seeing.tables(found["seeing"])
    flush = found.get("flush")
    if flush:
        lines += [
            "## A flush beside reads",
            "",
            "4 KiB random reads at depth 16; with and without a 4 KiB write and a FLUSH every "
            "10 ms on the same session, in turn:",
            "",
            "| server | p50/p99/p99.9 us without | with | p99 ratio |",
            "|---|---|---|---|",
            *(
                f"| {name} | {_three(one['without'])} | {_three(one['with'])} | "
                f"{one['with']['p99_us'] / one['without']['p99_us']:.2f} |"
                for name, one in flush.items()
            ),
            "",
        ]
    return lines


def _three(one: Mapping[str, float]) -> str:
    return f"{one['p50_us']:.0f}/{one['p99_us']:.0f}/{one['p999_us']:.0f}"


def machine() -> str:
    """Return what this machine is."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return (
        f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def write(rounds: Rounds, found: Mapping[str, Any], how: Sequence[str]) -> str:
    """Return the whole report."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return "\n".join(
        [
            "# Measured",
            "",
            f"{today}, {machine()}. `make bench` writes this page.",
            "",
            *how,
            "",
            "## Bars",
            "",
            *bar_table(rounds),
            "",
            "## Figures",
            "",
            "Median (lowest-highest) over the rounds; p50/p99 in us; `c` = CPU us per I/O of all "
            "processes of the server; `g` = CPU share of the load generator (1.00: it was the "
            "bottleneck).",
            "",
            *main_table(rounds),
            "",
            "The generator's own ceiling, at a CPU share of 1.00:",
            "",
            *ceilings(rounds),
            "",
            "## Ratios, round by round",
            "",
            *ratio_table(rounds),
            "",
            *extras(found),
        ]
    )
