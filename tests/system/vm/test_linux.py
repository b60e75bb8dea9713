"""Linux's own initiator before a real server: what a node of a cluster does with a volume."""

from __future__ import annotations

import re

import pytest

from serving.processes import wait_until
from serving.server import IQN
from serving.volumes import jiva
from system.vm.image import PROGRAMS
from system.vm.linux import Linux
from system.vm.machine import EMULATOR

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("libiscsi", EMULATOR, *PROGRAMS),
    pytest.mark.timeout(240),
]

SIZE = "512 MiB"
MIB = 1 << 20


def serve(linux: Linux) -> None:
    linux.server.configure(jiva("demo", SIZE))
    linux.server.run("demo")


def test_the_command_that_serve_prints_finds_the_volume_and_logs_in(linux: Linux) -> None:
    serve(linux)
    # Who logs in may be quicker than the line that says how.
    command = re.compile(r"iscsiadm +(iscsiadm .*)")
    wait_until(lambda: command.search(linux.server.said()) is not None, "it is printed")
    printed = command.search(linux.server.said())
    assert printed
    assert "successful" in linux.run(printed[1])
    for number in (0, 1):
        assert linux.discover(number) == {(linux.portal(number), f"{IQN}:demo")}


def test_the_block_layer_sees_a_thin_disk_with_a_cache_and_no_wide_stripe(linux: Linux) -> None:
    serve(linux)
    device = linux.attach()
    assert linux.queue(device, "rotational") == 0
    assert linux.queue(device, "fua") == 1
    assert linux.queue(device, "discard_granularity") == 4096
    assert linux.queue(device, "discard_max_bytes") >= MIB
    assert linux.queue(device, "write_zeroes_max_bytes") >= MIB
    assert 64 * 1024 <= linux.queue(device, "optimal_io_size") <= MIB
    assert linux.queue(device, "read_ahead_kb") <= 2048
    linux.run(f"mkfs.ext4 -q {device}")
    stripe = re.search(r"stripe width: +(\d+)", linux.run(f"dumpe2fs -h {device} 2>&1"))
    assert stripe is None or 4096 * int(stripe[1]) <= MIB


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_file_system_lives_through_kill_9_of_each_process(linux: Linux, kind: str) -> None:
    serve(linux)
    device = linux.attach()
    linux.make_file_system(kind, device, "/mnt/a")
    job = linux.verify("/mnt/a/file")
    linux.wait_for_writes(device, job)
    for victims in (["target.demo"], ["portal"], ["member.demo.replica-1"], ["template"]):
        linux.server.kill(victims)
        linux.wait_for_writes(device, job)
    linux.finish(job)
    linux.run("rm /mnt/a/file; sync; fstrim -v /mnt/a; umount /mnt/a")
    linux.check_file_system(kind, device)
    taken = [path.stat().st_blocks * 512 for path in linux.server.heads()]
    assert max(taken) < 40 * MIB, "what was trimmed still takes space"


def test_two_portals_are_two_paths_and_one_of_them_is_enough(linux: Linux) -> None:
    serve(linux)
    for number in (0, 1):
        linux.attach(number=number)
    device = linux.use_multipath()
    linux.wait_for_paths(2)
    job = linux.verify(device)
    linux.run("ip route add blackhole 127.0.1.2")
    linux.wait_for_paths(1)
    linux.wait_for_writes(device, job)
    linux.run("ip route del blackhole 127.0.1.2")
    linux.wait_for_paths(2)
    linux.server.kill(["target.demo", "portal"])
    linux.wait_for_writes(device, job)
    linux.finish(job)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_file_system_is_whole_after_the_power_of_both_sides_was_cut(
    linux: Linux, kind: str
) -> None:
    serve(linux)
    device = linux.attach()
    linux.make_file_system(kind, device, "/mnt/a")
    sums = linux.run(
        "cd /mnt/a; for n in {1..20}; do head -c ${RANDOM}0 /dev/urandom > $n; sync $n; done\n"
        "sync /mnt/a; sha256sum {1..20}"
    )
    # What was not synced may be lost: it must not be in the way of what was.
    linux.machine.begin("cd /mnt/a; for n in {100..999}; do head -c 20K /dev/urandom > $n; done")
    linux.run("until [ -e /mnt/a/120 ]; do sleep 0.05; done; sync /mnt/a/120")
    linux.machine.cut_power()
    linux.server.kill_all()
    linux.machine.start()
    linux.server.run("demo")
    device = linux.attach()
    # Mounting replays the event_log, as after every crash; then all must be well.
    linux.run(f"mkdir -p /mnt/a; mount {device} /mnt/a")
    assert linux.run("cd /mnt/a; sha256sum {1..20}") == sums
    linux.run("umount /mnt/a")
    linux.check_file_system(kind, device)


def test_a_reservation_keeps_another_initiator_from_writing(linux: Linux) -> None:
    serve(linux)
    first = linux.attach()
    second = linux.login_as_another()
    persist = "sg_persist --no-inquiry --out"
    linux.run(f"{persist} --register --param-sark=0xa1 {first}")
    linux.run(f"{persist} --reserve --param-rk=0xa1 --prout-type=5 {first}")
    write = "dd if=/dev/zero bs=4k count=1 oflag=direct"
    linux.run(f"{write} of={first}")
    assert "Invalid exchange" in linux.machine.attempt(f"{write} of={second}").output
    linux.run(f"{persist} --register --param-sark=0xb2 {second}")
    linux.run(f"{write} of={second}")
    linux.run(f"{persist} --clear --param-rk=0xa1 {first}")
    assert "NO registered" in linux.run(f"sg_persist --read-keys {first}")


def test_a_reset_of_the_disk_under_load_costs_no_error(linux: Linux) -> None:
    serve(linux)
    device = linux.attach()
    job = linux.verify(device)
    for way in ("--device", "--target", "--device"):
        linux.wait_for_writes(device, job)
        linux.run(f"sg_reset {way} {device}")
    linux.finish(job)


def test_iscsid_may_be_started_anew_and_sessions_come_and_go(linux: Linux) -> None:
    serve(linux)
    device = linux.attach()
    job = linux.verify(device)
    linux.wait_for_writes(device, job)
    linux.run("kill -9 $(pidof iscsid); iscsid")
    linux.wait_for_writes(device, job)
    linux.finish(job)
    linux.wait_for_session()
    come_and_go(linux, 5)
    linux.run("iscsiadm -m session --rescan")


def come_and_go(linux: Linux, times: int) -> None:
    word = f"iscsiadm -m node -T {IQN}:demo -p {linux.portal()}"
    linux.run(f"for n in {{1..{times}}}; do {word} --logout; {word} --login; done", timeout_s=600)


def test_large_direct_requests_and_discards_are_whole(linux: Linux) -> None:
    serve(linux)
    device = linux.attach()
    linux.run(
        "head -c 64M /dev/urandom > /tmp/data\n"
        f"dd if=/tmp/data of={device} bs=8M oflag=direct\n"
        f"dd if={device} bs=8M count=8 iflag=direct | cmp - /tmp/data\n"
        f"blkdiscard --offset 16M --length 16M {device}\n"
        f"blkdiscard --zeroout --offset 40M --length 8M {device}\n"
        "truncate -s 0 /tmp/zeroes; truncate -s 64M /tmp/zeroes\n"
        f"cmp -n 16M {device} /tmp/data\n"
        f"cmp -n 16M -i 16M {device} /tmp/zeroes\n"
        f"cmp -n 8M -i 32M {device} /tmp/data\n"
        f"cmp -n 8M -i 40M {device} /tmp/zeroes\n"
        f"cmp -n 16M -i 48M {device} /tmp/data\n"
    )
