"""Linux at work for an hour while something is killed every twenty seconds: the long form.

`make soak MINUTES=60`; TIERCE_SOAK_SEED=N repeats the choice of victims.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from serving.processes import wait_until
from serving.volumes import jiva
from system.plan import chosen_seed
from system.vm.image import PROGRAMS
from system.vm.linux import Linux
from system.vm.machine import EMULATOR
from system.vm.test_linux import come_and_go, serve

pytestmark = [
    pytest.mark.system,
    pytest.mark.long,
    pytest.mark.needs("libiscsi", EMULATOR, *PROGRAMS),
    pytest.mark.timeout(0),
]

PERIOD_S = 20.0
REPLICAS = ("replica-1", "replica-2", "replica-3")


def victims(chooser: random.Random) -> list[str]:
    """Choose whom to kill: one process, one volume's replicas, or everything."""
    volume = chooser.choice(("demo", "paths"))
    members = [f"member.{volume}.{name}" for name in REPLICAS]
    everything = [
        *("serve", "portal", "template", "target.demo", "target.paths"),
        *(f"member.{each}.{name}" for each in ("demo", "paths") for name in REPLICAS),
    ]
    return chooser.choice(
        [
            [f"target.{volume}"],
            [f"target.{volume}", *chooser.sample(members, 2)],
            [chooser.choice(members)],
            members,
            ["portal"],
            ["template"],
            ["serve"],
            everything,
        ]
    )


def test_soak_two_file_systems_verify_while_something_dies_every_twenty_seconds(
    linux: Linux,
) -> None:
    seed, seconds = chosen_seed(), int(os.environ.get("TIERCE_SOAK_SECONDS", "3600"))
    chooser = random.Random(seed)
    server = linux.server
    server.configure(jiva("demo", "1 GiB"), jiva("paths", "1 GiB"))
    server.run("demo", "paths")
    for number in (0, 1):
        linux.discover(number)
        linux.login("paths", number)
    devices = [linux.login("demo"), linux.use_multipath()]
    jobs = []
    for kind, device in zip(("ext4", "xfs"), devices, strict=True):
        linux.make_file_system(kind, device, f"/mnt/{kind}")
        jobs.append(linux.verify(f"/mnt/{kind}/file", size_mib=200, depth=16))
    end, kills, longest_s = time.monotonic() + seconds, 0, 0.0
    while time.monotonic() < end:
        chosen, begin = victims(chooser), time.monotonic()
        server.kill(chosen)
        if not server.is_serving:
            server.start()
        for device, job in zip(devices, jobs, strict=True):
            linux.wait_for_writes(device, job)
        stalled_s = time.monotonic() - begin
        kills, longest_s = kills + 1, max(longest_s, stalled_s)
        print(f"kill {kills}: {chosen}: both write again after {stalled_s:.1f} s", flush=True)
        time.sleep(max(0.0, begin + PERIOD_S - time.monotonic()))
    linux.finish(*jobs)
    for kind, device in zip(("ext4", "xfs"), devices, strict=True):
        linux.run(f"fstrim /mnt/{kind}; umount /mnt/{kind}")
        linux.check_file_system(kind, device)
    linux.reset()
    for name in ("demo", "paths"):
        expect_equal_replicas(linux, name)
    server.stop()
    print(f"seed {seed}: {kills} kills in {seconds} s; the longest pause was {longest_s:.1f} s")


def expect_equal_replicas(linux: Linux, name: str) -> None:
    """Wait until no replica lacks anything; then all hold the same bytes."""
    server = linux.server
    wait_until(lambda: server.is_whole(name), f"{name} is whole", within_s=300)
    wait_until(lambda: server.are_heads_equal(name), f"{name}'s replicas are equal", within_s=120)


def test_soak_a_target_that_hangs_for_forty_seconds_costs_no_error(linux: Linux) -> None:
    serve(linux)
    device = linux.attach()
    job = linux.verify(device)
    linux.wait_for_writes(device, job)
    with linux.server.stopped(["target.demo"]):
        time.sleep(40)
    linux.wait_for_writes(device, job)
    linux.finish(job)


def test_soak_a_hundred_logins_and_logouts_leave_one_session(linux: Linux) -> None:
    serve(linux)
    linux.attach()
    come_and_go(linux, 100)
    assert len(linux.run("iscsiadm -m session").splitlines()) == 1
