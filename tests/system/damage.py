"""The kinds of damage that a soak does, each with its undoing.

Each takes the rig, does its damage to a server under load, holds what can be read against the
register and undoes what has to be undone. It says what it chose before it does it. What a kind
leaves behind (a replica that is behind, a session that broke) is `Rig.recover`'s to bring in order.

A folder is never damaged itself: a wrong one is put in its place and the right one is set aside, so
that the right one comes back as a replica that was away. The exception is an old copy that the
volume has made whole again: then that is the replica.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence

import attrs

from serving.libiscsi import BrokenSessionError, Session
from serving.processes import wait_until
from serving.server import IQN, Server
from system.load import Load
from system.nodes import Node
from system.shim import SHORT, Operation, Rule, Shim

OTHERS = ("serve", "portal", "template", "target.demo")
#: How long a volume may take until every replica is in sync again, and equal.
WHOLE_S = 150.0
#: What `clean_after_s` is set to, and a bit: after so long without writes no mark is left.
CLEAN_AFTER_S = 0.5
QUIET_S = CLEAN_AFTER_S + 1.5
#: How long a volume is given to open when it may not have to.
PATIENCE_S = 4.0


@attrs.define
class Rig:
    """All that a round works on.

    Attributes:
        hang_s_max: The longest time for which a process is stopped.
        random: The round's choices.
        shim: What lets system calls fail; None where it is not loaded.
        interrupted: Requests that were in flight when their target was killed or ended.
    """

    server: Server
    nodes: Sequence[Node]
    load: Load
    hang_s_max: float
    shim: Shim | None = None
    random: random.Random = attrs.field(factory=random.Random)
    interrupted: int = 0

    @property
    def members(self) -> list[str]:
        return [node.member for node in self.nodes]

    def fill_up(self) -> None:
        """Have requests in flight, of which some have arrived."""
        self.load.fill_up()
        self.load.session.serve(0)
        # Somewhere between a batch's arrival and its last acknowledgement.
        time.sleep(self.random.random() * 0.002)
        self.interrupted += self.load.session.in_flight

    def say(self, *words: str) -> None:
        """Tell what was chosen, before it is done: it may fail."""
        print(*words, end="; ", flush=True)

    def choose(self, count: int) -> list[Node]:
        """Choose nodes, and say which."""
        chosen = self.random.sample(list(self.nodes), count)
        self.say(*(node.member for node in chosen))
        return chosen

    def kill(self, victims: Sequence[str]) -> None:
        """Kill -9, and have a server again."""
        self.server.kill(victims)
        if not self.server.is_serving:
            self.server.start()
        self.load.reconnect(is_new="target.demo" in victims)

    def down(self) -> None:
        """End everything, orderly or not, with writes in flight."""
        self.fill_up()
        if self.random.random() < 0.5:
            self.say("all stopped")
            self.server.stop()
        else:
            self.say("all killed")
            self.server.kill_all()

    def up(self) -> None:
        """Start again and log in."""
        self.server.start()
        self.load.reconnect(is_new=True)

    def try_up(self) -> bool:
        """Start again where the volume may be right not to open; returns whether it has."""
        self.server.start()
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                self.load.session.close()
                self.load.session = Session(self.server.url(), f"{IQN}:tests")
            except BrokenSessionError:
                time.sleep(0.1)
            else:
                self.load.register.forget_in_flight()
                return True
        return False

    def quiet(self) -> None:
        """Write nothing until no mark is left on any replica."""
        self.load.flush()
        time.sleep(QUIET_S)

    def is_whole(self, within_s: float) -> bool:
        """Look for so long whether every replica is in the in-sync set."""
        deadline = time.monotonic() + within_s
        while not self.server.is_whole():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def recover(self) -> None:
        """Have a whole volume: every replica in sync and equal, every sector as it must be."""
        if not self.server.is_serving:
            self.server.start()
        self.load.reconnect(is_new=False)
        self.load.run(50)
        self.load.complete()
        self.load.reconnect(is_new=False)
        self.load.compare()
        self._wait_until(self.server.is_whole, "every replica is in sync")
        self._wait_until(self.server.are_heads_equal, "the replicas are equal")
        self.load.compare()

    def _wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait, and answer the target's pings: one that hears nothing ends the session."""

        def look() -> bool:
            self.load.session.serve(0.05)
            return is_so()

        wait_until(look, what, within_s=WHOLE_S)


def kill(rig: Rig) -> None:
    """Kill -9 all, all replicas, the target and some, or anything, with writes in flight."""
    choice = rig.random.random()
    every = [*rig.members, *OTHERS]
    if choice < 0.25:
        victims = every
    elif choice < 0.4:
        victims = rig.members
    elif choice < 0.6:
        victims = ["target.demo", *rig.random.sample(rig.members, rig.random.randint(0, 2))]
    else:
        victims = rig.random.sample(every, rig.random.randint(1, len(every) - 1))
    rig.fill_up()
    rig.say("killed", *victims)
    rig.kill(victims)


def stop(rig: Rig) -> None:
    """End all orderly, under load."""
    rig.fill_up()
    rig.server.stop()
    rig.up()


def hang(rig: Rig) -> None:
    """Stop replicas or the target for a while, so that they neither answer nor end."""
    every = [*rig.members, "target.demo", "portal"]
    names = rig.random.sample(every, rig.random.choice((1, 1, 1, 2, 3)))
    seconds = min(rig.hang_s_max, rig.random.choice((0.5, 2, 8, 20, 60)))
    rig.say(*names, f"hang for {seconds} s")
    with rig.server.stopped(names):
        rig.load.run_for(seconds)


def old_copy(rig: Rig) -> None:
    """Put an old copy of a replica's folder in its place: what a restored backup is."""
    node = rig.choose(1)[0]
    if rig.random.random() < 0.5:
        rig.say("copied under load")
        rig.load.fill_up()
        rig.load.session.serve(0)
        old = node.copy(node.replica, "demo.old")
        rig.quiet()
    else:
        rig.say("copied while nothing was written")
        rig.quiet()
        old = node.copy(node.replica, "demo.old")
    rig.load.run(rig.random.randint(50, 200))
    rig.load.flush()
    if rig.random.random() < 0.5:
        rig.say("put back while serving")
        node.misplace(old)
        # Until then the process has the right files open, and finds the wrong ones by name.
        rig.load.run(rig.random.choice((0, 50)))
        rig.kill([node.member])
    else:
        rig.down()
        node.misplace(old)
        rig.up()
    rig.load.compare()
    rig.load.run(20)
    if rig.random.random() < 0.5:
        rig.say("all killed")
        rig.server.kill_all()
        rig.up()
        rig.load.compare()
    if rig.is_whole(WHOLE_S):
        node.keep_wrong()
    else:
        rig.say("did not become whole")
        node.put_back()
        rig.kill([node.member])


def byte_copy(rig: Rig) -> None:
    """Replace a replica's folder by a copy of itself, bit by bit: nothing is lost by that."""
    chosen = rig.choose(rig.random.choice((1, 1, 2, 3)))
    rig.down()
    for node in chosen:
        node.misplace(node.copy(node.replica, "demo.copy"))
        node.keep_wrong()
    rig.up()
    rig.load.compare()


def swap(rig: Rig) -> None:
    """Put the folders of two replicas in each other's place."""
    first, second = rig.choose(2)
    rig.down()
    copies = [first.copy(second.replica, "demo.swap"), second.copy(first.replica, "demo.swap")]
    for node, wrong in zip((first, second), copies, strict=True):
        node.misplace(wrong)
    expect_truth(rig, 2)
    undo(rig, (first, second))


def stranger(rig: Rig) -> None:
    """Put another volume's folder, an empty one or none in the place of a replica's."""
    chosen = rig.choose(rig.random.choice((1, 1, 2)))
    kind = rig.random.choice(("another volume's", "an empty", "no"))
    rig.say(kind, "folder")
    rig.down()
    for node in chosen:
        wrong = None
        if kind == "another volume's":
            wrong = node.copy(node.folder / "other", "demo.wrong")
        elif kind == "an empty":
            wrong = node.folder / "demo.wrong"
            wrong.mkdir()
        node.misplace(wrong)
    expect_truth(rig, len(chosen))
    undo(rig, chosen)


def truncate(rig: Rig) -> None:
    """Cut a replica's file short: its head while it serves, or a record while it doesn't."""
    node = rig.choose(1)[0]
    if rig.random.random() < 0.5:
        _truncate_head(rig, node)
    else:
        _truncate_record(rig, node)


def _truncate_record(rig: Rig, node: Node) -> None:
    rig.down()
    wrong = node.copy(node.replica, "demo.wrong")
    name = rig.random.choice(sorted(path.name for path in wrong.glob("*.json")))
    rig.say(name)
    os.truncate(wrong / name, rig.random.randrange((wrong / name).stat().st_size))
    node.misplace(wrong)
    expect_truth(rig, 1)
    undo(rig, [node])


def _truncate_head(rig: Rig, node: Node) -> None:
    # The copy is what the operator has: it comes back as an old one does.
    rig.quiet()
    kept = node.copy(node.replica, "demo.kept")
    rig.load.run(20)
    head = next(node.replica.glob("head-*.img"))
    size = rig.random.randrange(head.stat().st_size)
    rig.say(f"{head.name} cut to {size} bytes while serving")
    os.truncate(head, size)
    rig.load.run_for(1)
    rig.load.reconnect(is_new=False)
    rig.load.compare()
    node.misplace(kept)
    node.keep_wrong()
    rig.kill([node.member])


def io_error(rig: Rig) -> None:
    """Let system calls on some replicas' files fail for a while."""
    return _with_rules(rig, rig.random.choice((errno.EIO, errno.EIO, errno.ENOSPC)))


def short_io(rig: Rig) -> None:
    """Let writes and reads of some replicas' files do less than they were asked, for a while."""
    return _with_rules(rig, SHORT)


def _with_rules(rig: Rig, error: int) -> None:
    assert rig.shim is not None
    chosen = rig.choose(rig.random.choice((1, 1, 1, 1, 2, 3)))
    operations = list(Operation) if error == errno.EIO else [Operation.WRITE, Operation.READ]
    if error == errno.ENOSPC:
        operations = [Operation.WRITE]
    operation, percent = rig.random.choice(operations), rig.random.choice((2, 20, 100))
    rig.say(f"{percent} % of {operation.name} {errno.errorcode[error] if error else 'short'}")
    rules = [Rule(operation, error, percent, f"{node.folder.name}/demo/") for node in chosen]
    with rig.shim.failing(rules):
        rig.load.run_for(rig.random.choice((0.3, 1.5)))
        if rig.random.random() < 0.5:
            rig.load.flush()
    rig.load.reconnect(is_new=False)


def full(rig: Rig) -> None:
    """Fill the file systems of some replicas, or of all, for a while."""
    chosen = rig.choose(rig.random.choice((1, 2, 3)))
    with contextlib.ExitStack() as filled:
        for node in chosen:
            filled.enter_context(node.full())
        rig.load.run_for(2)
        rig.load.complete()
        rig.load.reconnect(is_new=False)
        # Full or not: what can be read is read.
        rig.load.compare()


def expect_truth(rig: Rig, wrong_count: int) -> None:
    """Start over wrong folders: with two right ones the volume shows what it must; with less it
    may open or not, and what it shows must be right."""
    if 2 * wrong_count < len(rig.nodes):
        rig.up()
        rig.load.compare()
        rig.load.run(20)
        rig.load.complete()
        rig.load.compare()
    elif not rig.try_up():
        rig.say("not opened")
    elif not rig.load.look():
        rig.say("opened, not ready")


def undo(rig: Rig, nodes: Sequence[Node]) -> None:
    """Put the right folders back and start again."""
    rig.server.kill_all()
    for node in nodes:
        node.put_back()
    rig.up()


Kind = Callable[[Rig], None]

KINDS: Mapping[str, Kind] = {
    "kill": kill,
    "stop": stop,
    "hang": hang,
    "old-copy": old_copy,
    "byte-copy": byte_copy,
    "swap": swap,
    "stranger": stranger,
    "truncate": truncate,
    "io-error": io_error,
    "short-io": short_io,
    "full": full,
}
