"""What an operator of an initiator types, on the Linux in the virtual machine.

What Linux complains about is read from the kernel's log; `complaints` leaves out what a killed
target or portal must cause: connections that end, and paths of a multipath device that fail.
"""

from __future__ import annotations

import re

from serving.processes import wait_until
from serving.server import IQN, Server
from system.vm.machine import Machine

#: What was written last is compared before fio ends, on a machine that may be busy.
FINISH_TIMEOUT_S = 120.0
#: What the kernel writes when a disk has failed its user, or a file system finds itself damaged.
_COMPLAINT = re.compile(
    r"I/O error|EXT4-fs (?:error|warning)|XFS .*(?:corrupt|error|shutdown)|rejecting I/O"
    r"|Sense Key : (?:Medium|Hardware|Aborted|Illegal)|Aborting event_log|[Rr]emounting"
    r"|blocked for more than|Invalid|WARNING:|BUG:|Device offlined|UNKNOWN"
)
#: A complaint about one path: what multipath is there for.
_OF_A_PATH = re.compile(r"sd \d+:\d+:\d+:\d+:|dev sd\w+")
#: fio's words of every job here: what was written is read back and its checksum compared.
_FIO = (
    "fio --ioengine=libaio --direct=1 --verify=crc32c --verify_fatal=1 --verify_backlog=512"
    " --thread --output-format=terse --time_based --runtime=1d"
)
#: How fio ends when it is told to and has found nothing wrong; each error adds one.
_FIO_TOLD_TO_END = 128
#: Runs the script that follows for half a minute at most.
_WAIT = "timeout 30 bash -c"
#: Both paths are used at once, and I/O waits while there is none.
_MULTIPATH = (
    "defaults {",
    "  find_multipaths yes",
    "  user_friendly_names yes",
    "  path_grouping_policy multibus",
    "  polling_interval 1",
    "  no_path_retry queue",
    "}",
    'blacklist { devnode "^vd" }',
)


class Linux:
    """The initiator in one machine, before one server."""

    def __init__(self, machine: Machine, server: Server) -> None:
        self.machine = machine
        self.server = server
        self.run = machine.run
        self._has_paths = False

    def portal(self, number: int = 0) -> str:
        return f"{self.server.hosts[number]}:{self.server.port}"

    def discover(self, number: int = 0) -> set[tuple[str, str]]:
        """Ask a portal; returns what it offers, as portal and target."""
        said = self.run(f"iscsiadm -m discovery -t sendtargets -p {self.portal(number)}")
        pairs = (line.split() for line in said.splitlines())
        return {(portal.partition(",")[0], target) for portal, target in pairs}

    def login(self, name: str = "demo", number: int = 0) -> str:
        """Log in through a portal that was discovered; returns the device."""
        self.run(f"iscsiadm -m node -T {IQN}:{name} -p {self.portal(number)} --login")
        path = f"/dev/disk/by-path/ip-{self.portal(number)}-iscsi-{IQN}:{name}-lun-0"
        return self.run(
            f"{_WAIT} 'until [ -b {path} ]; do sleep 0.1; done'\nrealpath {path}"
        ).strip()

    def attach(self, name: str = "demo", number: int = 0) -> str:
        """Discover and log in; returns the device."""
        self.discover(number)
        return self.login(name, number)

    def login_as_another(self, name: str = "demo") -> str:
        """Log in a second time, under another initiator's name; returns that session's device."""
        new = "iscsiadm -m iface -I second"
        node = f"iscsiadm -m node -T {IQN}:{name} -p {self.portal()}"
        said = self.run(
            f"{new} -o new; {new} -o update -n iface.initiatorname -v {IQN}:second\n"
            f"{node} -I second -o new; {node} -I second --login; udevadm settle\n"
            "session=$(grep -l ^second$ /sys/class/iscsi_session/*/ifacename)\n"
            "ls ${session%/ifacename}/device/target*/*/block"
        )
        return f"/dev/{said.split()[-1]}"

    def use_multipath(self) -> str:
        """Make one device of all paths to a volume, both used at once; returns it."""
        self._has_paths = True
        lines = "\n".join(_MULTIPATH)
        self.run(
            f"modprobe dm_service_time\ncat > /etc/multipath.conf <<'END'\n{lines}\nEND\nmultipathd"
        )
        self.run(f"{_WAIT} 'until [ -b /dev/mapper/mpath? ]; do sleep 0.1; done'")
        return self.run("ls /dev/mapper/mpath?").strip()

    def wait_for_paths(self, active: int) -> None:
        """Wait until so many paths of the multipath device are in use."""

        def are_so_many() -> bool:
            said = self.run("multipathd show paths format '%t %T'")
            return said.count("active ready") == active

        wait_until(are_so_many, f"{active} paths are active", within_s=90)

    def make_file_system(self, kind: str, device: str, at: str, options: str = "discard") -> None:
        self.run(f"mkfs.{kind} -q {device}\nmkdir -p {at}\nmount -o {options} {device} {at}")

    def check_file_system(self, kind: str, device: str) -> str:
        """Look for damage on what is not mounted; returns what the tool said."""
        words = {"ext4": "e2fsck -fn", "xfs": "xfs_repair -n"}[kind]
        return self.run(f"{words} {device} 2>&1")

    def queue(self, device: str, name: str) -> int:
        """Return one of the numbers by which the block layer uses a device."""
        return int(self.run(f"cat /sys/block/$(basename {device})/queue/{name}"))

    def verify(self, file: str, size_mib: int = 48, depth: int = 32) -> int:
        """Start writing a file or device at random and comparing what was written, until told."""
        return self.machine.begin(
            f"{_FIO} --name=verify --filename={file} --size={size_mib}M --rw=randwrite --bs=4k"
            f" --iodepth={depth}"
        )

    def wait_for_writes(self, device: str, job: int) -> None:
        """Wait until the device has completed writes from now on: I/O goes on."""
        before = self.writes(device)

        def has_written() -> bool:
            outcome = self.machine.outcome(job)
            assert outcome is None, f"the job has ended: {outcome}\n{self.kernel_log()}"
            return self.writes(device) > before + 20

        wait_until(has_written, f"{device} takes writes again", within_s=100)

    def writes(self, device: str) -> int:
        """Return how many writes a device has completed."""
        return int(
            self.run(f"cat /sys/class/block/$(basename $(realpath {device}))/stat").split()[4]
        )

    def finish(self, *jobs: int) -> None:
        """End all jobs of `verify`, which must have found nothing wrong."""
        self.machine.attempt("pkill -INT -x fio")
        for job in jobs:
            outcome = self.machine.wait(job, FINISH_TIMEOUT_S)
            assert outcome.code == _FIO_TOLD_TO_END, f"{outcome}\n{self.kernel_log()}"

    def wait_for_session(self) -> None:
        """Wait until every session is logged in and iscsid has nothing to do about it."""
        calm = '! iscsiadm -m session -P 1 | grep State: | grep -Ev "LOGGED.IN|NO CHANGE"'
        self.run(f"{_WAIT} 'until {calm}; do sleep 0.2; done'")

    def kernel_log(self) -> str:
        return self.run("dmesg")

    def complaints(self) -> list[str]:
        """Return the lines of the kernel's log that no good disk causes."""
        lines = [line for line in self.kernel_log().splitlines() if _COMPLAINT.search(line)]
        return [line for line in lines if not (self._has_paths and _OF_A_PATH.search(line))]

    def reset(self) -> None:
        """Leave nothing of one test to the next: mounts, maps, sessions, log."""
        self.machine.run(
            "findmnt -rno TARGET | { grep ^/mnt/ || true; } | xargs -r umount\n"
            "if pidof multipathd; then multipath -F; multipathd shutdown; fi\n"
            "iscsiadm -m session --logout || [ $? = 21 ]\n"
            "rm -rf /etc/iscsi/nodes /etc/iscsi/send_targets /etc/iscsi/ifaces/second\n"
            "dmesg --clear; rm -f /tmp/*",
            timeout_s=30,
        )
