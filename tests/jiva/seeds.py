"""Run many seeds, say how often each thing happened, and which seeds failed.

PYTHONPATH=tests python -m jiva.seeds --seeds 1000 --start 0 --jobs 2
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing import Pool

import attrs

from jiva.sim import faults
from jiva.sim.tally import EXPECTED, LEAST_SEEDS
from jiva.sim.trace import Trace
from jiva.simulation import FAULTS_S, World

_CHUNK = 8
#: A seed that takes longer than this hangs, on any machine.
_SEED_S_MAX = 60


@attrs.frozen
class Outcome:
    """What became of a seed."""

    seed: int
    trouble: str
    tally: Counter[str]
    elapsed_s: float


@attrs.frozen
class Wanted:
    """What is run."""

    faults_s: float
    without: tuple[str, ...]
    trace: int | None
    asks_status: bool = False
    delays_admission: bool = False
    follows: bool = False


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Let nothing take longer than a seed may.

    Raises:
        TimeoutError: It does: it hangs.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise TimeoutError("it never ends")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(_SEED_S_MAX)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def play_seed(seed: int, wanted: Wanted) -> Outcome:
    """Run one seed, whatever comes of it."""
    chosen = tuple(fault for fault in faults.FAULTS if fault.__name__ not in wanted.without)
    began = time.perf_counter()
    world = World(
        seed,
        wanted.faults_s,
        asks_status=wanted.asks_status,
        delays_admission=wanted.delays_admission,
        follows=wanted.follows,
    )
    if wanted.without:
        faults.FAULTS = chosen
    if wanted.trace is not None:
        world.trace = Trace(world, wanted.trace)
    trouble = ""
    try:
        with bounded():
            world.run()
    except Exception:  # noqa: BLE001 - whatever it is, the seed is what matters
        trouble = traceback.format_exc()
    tally, history = world.tally, world.history
    tally["acknowledged write"] += history.acknowledged_writes
    tally["checked read"] += history.checked_reads
    tally["completed flush"] += history.completed_flushes
    tally["fault"] += world.fault_count
    return Outcome(seed, trouble, tally, time.perf_counter() - began)


def _play(task: tuple[int, Wanted]) -> Outcome:
    return play_seed(*task)


def play_all(seeds: Iterable[int], wanted: Wanted, jobs: int) -> Iterator[Outcome]:
    """Run many seeds on `jobs` processes."""
    tasks = ((seed, wanted) for seed in seeds)
    if jobs == 1:
        yield from map(_play, tasks)
        return
    with Pool(jobs) as pool:
        yield from pool.imap(_play, tasks, chunksize=_CHUNK)


def main() -> int:
    """Run many seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--faults-s", type=float, default=FAULTS_S, help="simulated seconds each")
    parser.add_argument("--jobs", type=int, default=1, help="processes to run them on")
    parser.add_argument("--without", default="", help="faults to leave out, by name")
    parser.add_argument("--trace", type=int, help="tell all that happens, and of this block")
    parser.add_argument("--holes", action="store_true", help="let clients ask for holes too")
    parser.add_argument("--admission", action="store_true", help="let stores delay batches too")
    parser.add_argument("--follows", action="store_true", help="sample I/Os, and time frames")
    asked = parser.parse_args()
    without = tuple(filter(None, asked.without.split(",")))
    wanted = Wanted(
        asked.faults_s, without, asked.trace, asked.holes, asked.admission, asked.follows
    )
    began = time.perf_counter()
    tally: Counter[str] = Counter()
    failed: list[int] = []
    seeds = range(asked.start, asked.start + asked.seeds)
    for outcome in play_all(seeds, wanted, asked.jobs):
        tally += outcome.tally
        if outcome.trouble:
            failed.append(outcome.seed)
            sys.stdout.write(f"{outcome.trouble}seed {outcome.seed} FAILED\n")
            sys.stdout.flush()
    elapsed_s = time.perf_counter() - began
    for name, count in sorted(tally.items()):
        sys.stdout.write(f"{count:9d}  {name}\n")
    missing = [name for name in EXPECTED if not tally[name]] if len(seeds) >= LEAST_SEEDS else []
    if missing:
        sys.stdout.write(f"never happened: {', '.join(missing)}\n")
    sys.stdout.write(
        f"{len(seeds)} seeds in {elapsed_s:.0f} s ({1000 * elapsed_s / len(seeds):.0f} ms each on "
        f"{asked.jobs} processes); failed: {failed or 'none'}\n"
    )
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
