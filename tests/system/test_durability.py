"""Damage at random moments; every sector must hold what its register says, always.

The short form runs with `make test`; `make soak ROUNDS=300` is the long one. How a failing run is
repeated stands in plan.py, what the kinds of damage are in damage.py.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from serving.libiscsi import GOOD
from serving.processes import wait_until
from serving.server import Server
from serving.volumes import jiva
from system.damage import CLEAN_AFTER_S, KINDS, Rig
from system.load import DEPTH, Load
from system.nodes import Node, mounted
from system.plan import chosen_kinds, chosen_seed, rounds
from system.register import BLOCK
from system.shim import Shim

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi", "gcc")]

SIZE = 16 << 20
#: Room for a volume's replica, three copies of it, and another volume's.
NODE_BYTES = 96 << 20
#: Each kind comes once, and some twice.
SHORT_ROUNDS = 15
LOAD_MAX = 400
#: Shorter than the defaults, so that a round sees marks go and refusals come.
OPTIONS = {"clean_after_s": CLEAN_AFTER_S, "not_ready_after_s": 8}


@contextlib.contextmanager
def rigged(folder: Path, seed: int, kinds: Sequence[str], hang_s_max: float) -> Iterator[Rig]:
    """A served volume on three nodes, a load on it, and what it takes to damage it."""
    nodes = [Node(number, folder / f"node-{number}") for number in (1, 2, 3)]
    for node in nodes:
        node.folder.mkdir()
    shim = Shim(folder) if {"io-error", "short-io"} & {*kinds} else None
    server = Server(folder, environment=shim.environment if shim else None)
    volumes = [
        jiva(name, size, [f"./node-{node.number}/{name}" for node in nodes], **OPTIONS)
        for name, size in (("demo", str(SIZE)), ("other", "4 MiB"))
    ]
    server.configure(*volumes)
    with contextlib.ExitStack() as stack:
        if "full" in kinds:
            stack.enter_context(mounted(nodes, NODE_BYTES))
        stack.enter_context(server)
        server.run("demo", "other")
        load = Load.on(server, seed, SIZE)
        yield Rig(server, nodes, load, hang_s_max, shim)
        load.session.close()


def soak(folder: Path, count: int, kinds: Sequence[str], hang_s_max: float) -> None:
    seed = chosen_seed()
    print(f"TIERCE_SOAK_SEED={seed} TIERCE_SOAK_KINDS={','.join(kinds)} repeats these choices")
    with rigged(folder, seed, kinds, hang_s_max) as rig:
        load = rig.load
        for one in rounds(seed, kinds):
            if one.number > count:
                break
            rig.random = load.random = one.random
            print(f"round {one.number}: {one.kind}: ", end="", flush=True)
            load.run(one.random.randint(1, LOAD_MAX))
            KINDS[one.kind](rig)
            rig.recover()
            print(f"{load.acknowledged} acknowledged", flush=True)
        print(
            f"{count} rounds, {load.acknowledged} acknowledged writes, {rig.interrupted} "
            f"requests interrupted, {load.refused} writes refused, {load.flushes} flushes, "
            f"{load.reads} reads under load: nothing lost, nothing stale"
        )


def possible(kinds: Sequence[str]) -> list[str]:
    """Leave out, by name, what this machine can't do."""
    if os.geteuid() != 0 and "full" in kinds:
        print("left out: full needs root, to mount small file systems")
        return [kind for kind in kinds if kind != "full"]
    return list(kinds)


@pytest.mark.timeout(300)
def test_every_sector_holds_what_it_must_through_damage(tmp_path: Path) -> None:
    soak(tmp_path, SHORT_ROUNDS, possible(list(KINDS)), hang_s_max=2)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_soak_every_sector_holds_what_it_must_through_hundreds_of_damages(tmp_path: Path) -> None:
    kinds = possible(chosen_kinds(list(KINDS), list(KINDS)))
    count = int(os.environ.get("TIERCE_SOAK_ROUNDS", "300"))
    soak(tmp_path, count, kinds, hang_s_max=60)


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
def test_two_sessions_at_the_same_blocks_leave_equal_replicas(
    server: Server, is_killed: bool
) -> None:
    """What two initiators write at once has no order, but every replica must have the same one."""
    server.configure(jiva("demo", str(SIZE)))
    server.run("demo")
    sessions = [server.session(initiator=name) for name in ("one", "two")]
    chooser = random.Random(3)
    statuses: list[int] = []
    for number in range(1500):
        first = chooser.randrange(64)
        for fill, session in enumerate(sessions):
            count = chooser.randint(1, 8)
            data = bytes([1 + (2 * number + fill) % 255]) * (count * BLOCK)
            session.write(first * BLOCK, data, statuses.append)
        while max(session.in_flight for session in sessions) >= DEPTH:
            for session in sessions:
                session.serve(0.001)
    if is_killed:
        server.kill_all()
        for session in sessions:
            session.close()
        server.run("demo")
        sessions = [server.session()]
        sessions[0].read_now(0, 64 * BLOCK)
        wait_until(server.are_heads_equal, "the replicas are equal again")
    for session in sessions:
        session.complete()
        session.close()
    server.stop()
    if not is_killed:
        assert statuses.count(GOOD) == 3000
    first_head, *other_heads = [path.read_bytes() for path in server.heads()]
    assert len(other_heads) == 2
    assert any(first_head)
    assert all(other == first_head for other in other_heads)
