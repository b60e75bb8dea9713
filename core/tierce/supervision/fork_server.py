"""The fork server: a warm, single-threaded process that others are forked from.

`python -m tierce.supervision.fork_server DATA [--plugin NAME]... [--without FAMILY:NAME]... [--code
ID] [--control-fd N]`. It imports what data processes and plugins need (what the server knows can't
be imported it is told to do without), freezes the collector's view of it (gc.freeze, so that
children share the pages), and forks on request: about 1 ms and 1 MB for each process. It opens no
lmdb environment and starts no thread, which would not survive a fork. One of other code (an upgrade
came between) is replaced before anything is forked: it would read plans by the rules of its own.

It reaps its children and knows nothing else of them. Killing it stops nobody; whoever needs it
starts another.

Its loop is a `poll`, not an epoll: an epoll instance would be shared with the children, and a
child that closes its copy of a descriptor must not be able to touch the parent's loop.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tierce.codec import from_json, prepare, to_json
from tierce.errors import ProtocolError, TierceError, explain
from tierce.libc import libc
from tierce.node.table import run_role
from tierce.process.descriptors import Door
from tierce.process.logs import redirect_output
from tierce.process.messages import Message, close_all, encode, receive, send
from tierce.process.paths import Paths, listen
from tierce.process.plan import (
    EXIT_FAILED,
    EXIT_TAKEN,
    FORK_SERVER,
    Plan,
    Role,
    fork_server_plan,
)
from tierce.process.process_loop import log_story, name_process, take_process_lock, write_log
from tierce.process.settings import MemberSettings
from tierce.process.telling import stamped
from tierce.registry import Registry, resolve
from tierce.spec import Event, MemberSpec


class Forked(BaseException):
    """Raised in the child, to leave the fork server's stack behind.

    Args:
        plan: What the child is to be.
        connection: The supervisor's end of it.
    """

    def __init__(self, plan: Plan, connection: socket.socket) -> None:
        super().__init__(plan.name)
        self.plan = plan
        self.connection = connection


class ForkServer:
    """The fork server's loop.

    Args:
        paths: Where things lie.
        plan: Its own plan.
        connection: The supervisor's end, None if nobody waits.
        fork: Forks this process: os.fork.
    """

    def __init__(
        self,
        paths: Paths,
        plan: Plan,
        connection: socket.socket | None,
        fork: Callable[[], int] = os.fork,
    ) -> None:
        self._fork_process = fork
        self._plan = plan
        self._lock = take_process_lock(paths, plan)
        self._listener = listen(paths.socket(plan.name))
        self._inner, self._outer = socket.socketpair()
        self._peers: dict[int, socket.socket] = {}
        self._poll = select.poll()
        self._door = Door()
        self._is_ending = False
        for end in (self._inner, self._outer):
            end.setblocking(False)
        for one in (self._listener, self._inner):
            self._poll.register(one, select.POLLIN)
        if connection is not None:
            self._add(connection)

    def run(self) -> None:
        """Serve until SIGTERM. Raises Forked in a child."""
        # First: what only a handler heard of would be lost.
        signal.set_wakeup_fd(self._outer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda _number, _frame: None)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        while not self._is_ending:
            for descriptor, _events in self._poll.poll():
                self._ready(descriptor)

    def close(self) -> None:
        """Let go of everything: at the end, and first thing in a child."""
        signal.set_wakeup_fd(-1)
        for one in (self._listener, self._inner, self._outer, *self._peers.values()):
            one.close()
        self._peers.clear()
        self._door.close()
        self._lock.release()

    def _ready(self, descriptor: int) -> None:
        if descriptor == self._listener.fileno():
            self._accept()
        elif descriptor == self._inner.fileno():
            if signal.SIGTERM in self._inner.recv(256):
                self._is_ending = True
            reap()
        elif descriptor in self._peers:
            self._serve(self._peers[descriptor])

    def _accept(self) -> None:
        try:
            accepted = self._door.accept(self._listener)
        except OSError:
            self._door.turn_away(self._listener)
            return
        if accepted is not None:
            self._add(accepted[0])

    def _add(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._peers[connection.fileno()] = connection
        self._poll.register(connection, select.POLLIN)

    def _serve(self, peer: socket.socket) -> None:
        try:
            packet = receive(peer)
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            packet = None
        if packet is not None:
            # One that does not read its answers is hung up on: it asks again.
            with contextlib.suppress(OSError):
                self._answer(peer, *packet)
                return
        self._poll.unregister(peer)
        del self._peers[peer.fileno()]
        peer.close()

    def _answer(self, peer: socket.socket, message: Message, descriptors: list[int]) -> None:
        answer: Message
        try:
            if message.get("do") == "fork" and len(descriptors) == 1:
                plan = from_json(Plan, message.get("plan"))
                answer = {"ok": {"pid": self._fork(plan, descriptors[0])}}
            elif message.get("do") in ("status", "subscribe"):
                answer = {"ok": self._status()}
            elif message.get("do") == "ping":
                answer = {"ok": {}}
            else:
                answer = {"error": "a fork server forks and tells its status"}
        except (TierceError, OSError) as error:
            answer = {"error": explain(error)}
        finally:
            close_all(descriptors)
        send(peer, encode({"id": message.get("id", 0), **answer}))

    def _status(self) -> Message:
        return {
            "pid": os.getpid(),
            "name": FORK_SERVER,
            "role": Role.FORK_SERVER.value,
            "volume": "",
            "digest": self._plan.digest,
            "phase": "up",
            "facts": {},
        }

    def _fork(self, plan: Plan, descriptor: int) -> int:
        sys.stderr.flush()
        # A SIGTERM that comes before the child has a handler of its own must end it, not be
        # swallowed by the fork server's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            pid = self._fork_process()
        except OSError:
            # It is forked from again: blocked, SIGTERM would never end it, nor those after this.
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            raise
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return pid
        try:
            # The duplicate outlives the caller's `finally`.
            connection = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            # Whatever happens here, the child must not go on as a second fork server.
            os._exit(EXIT_FAILED)
        self.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise Forked(plan, connection)


def reap() -> None:
    """Take the exit status of every child that has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def warm(registry: Registry) -> None:
    """Make here what every child would make for itself: the codec, and what the enabled plugins
    import. What fails there fails here first, is logged, and is told again by the process that
    needs it."""
    prepare(Plan, Event, tuple[MemberSpec, ...], MemberSettings)
    for factory in factories(registry):
        try:
            resolve(factory)
        except Exception as error:  # noqa: BLE001 - a plugin's import may raise anything
            write_log(
                FORK_SERVER,
                Event(
                    "node.template.import-failed",
                    f"{factory}: {explain(error)}",
                    "process/template",
                    "warning",
                ),
            )


def factories(registry: Registry) -> Iterator[str]:
    """Name everything that runs in a data process. Services import when they start: theirs
    may be heavy, or start threads."""
    for engine in registry.engines.values():
        yield from filter(None, (engine.factory,))
    for replicator in registry.replicators.values():
        yield from (replicator.factory, replicator.member)
    for store in registry.stores.values():
        yield store.factory
    for one in registry.filters.values():
        yield one.factory
    for frontend in registry.frontends.values():
        yield from filter(None, (frontend.factory, frontend.router))


def become(paths: Paths, registry: Registry, forked: Forked) -> int:
    """Be the process that was asked for, in the child; return its exit code."""
    plan = forked.plan
    os.setsid()
    name_process(plan.name)
    redirect_output(paths.log(plan.name))
    try:
        return run_role(paths, plan, registry, forked.connection)
    except Exception as error:  # noqa: BLE001 - whatever keeps a process from starting is told
        log_story(error)
        tell_end(forked.connection, plan.name, error)
        return EXIT_TAKEN


def tell_end(connection: socket.socket | None, name: str, error: Exception) -> None:
    """Say, in the log and to the supervisor, why a process can't be."""
    message = f"{name}: {explain(error)}"
    event = stamped(Event("node.process.failed", message, f"process/{name}", "error"))
    write_log(name, event)
    if connection is not None:
        with contextlib.suppress(OSError):
            send(connection, encode({"event": to_json(event)}))


def main(arguments: list[str] | None = None) -> int:
    """Run the fork server; in a child, what it was forked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tierce.supervision.fork_server", description=__doc__
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--plugin", action="append", default=[])
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--code", default="")
    parser.add_argument("--control-fd", type=int)
    options = parser.parse_args(arguments)
    paths = Paths(options.data)
    name_process(FORK_SERVER)
    connection = None
    if options.control_fd is not None:
        # Not every library marks its files close-on-exec: what else came along (the state's
        # lmdb) would stay open in every process that is forked from here.
        os.closerange(options.control_fd + 1, os.sysconf("SC_OPEN_MAX"))
        os.set_inheritable(options.control_fd, False)
        connection = socket.socket(fileno=options.control_fd)
    try:
        without = [tuple(thing.split(":", 1)) for thing in options.without]
        registry = Registry.load(
            options.plugin, unusable=dict.fromkeys(without, "it can't be imported")
        )
        importlib.import_module("tierce.node.table")
        warm(registry)
        plan = fork_server_plan(tuple(options.plugin), options.code, without)
        fork_server = ForkServer(paths, plan, connection)
    except Exception as error:
        tell_end(connection, FORK_SERVER, error)
        raise
    gc.collect()
    # 0.6 MB that importing has left behind, which would count in every process forked from here.
    libc().malloc_trim(0)
    gc.freeze()
    try:
        fork_server.run()
    except Forked as forked:
        forked_now = forked
    else:
        paths.socket(FORK_SERVER).unlink(missing_ok=True)
        fork_server.close()
        return 0
    return become(paths, registry, forked_now)


if __name__ == "__main__":
    code = EXIT_FAILED
    try:
        code = main()
    except Exception as error:  # noqa: BLE001 - the last line of defence: said, then ended
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        # A child must not run what the fork server registered for its own exit.
        os._exit(code)
