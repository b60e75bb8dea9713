"""The supervisor: `tierce serve`.

It plans what should run, sees what runs, and lets `reconcile` say what to do; after everything
that happens it looks again. It is needed to change things, not to serve: killing it stops no I/O,
and the next one adopts what it finds alive.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tierce.config import Config, load_config, options_to_mapping
from tierce.errors import TierceError
from tierce.node.catalogue import Catalogue
from tierce.node.children import Child, Children
from tierce.node.commands import Commands
from tierce.node.control import ControlServer, Message
from tierce.node.journal import Console, Journal
from tierce.node.layout import Layout, listen, replace_file
from tierce.node.listening import open_listener
from tierce.node.plan import Plan, Role
from tierce.node.planning import plan_all, policy_documents
from tierce.node.reconcile import Kill, Look, Observed, Start, Stop, reconcile
from tierce.node.screen import Screen
from tierce.reactor import READABLE, Timer
from tierce.spec import Event
from tierce.state import acquire
from tierce.state.store import StateStore
from tierce.volume.epoll import EpollReactor

#: A second signal gives processes this long before they are killed.
HURRY_TIMEOUT_S = 1.0
#: How often a deletion that waits for something, a disk that is not mounted, looks for it.
DELETION_RETRY_S = 5.0


def serve(file: Path, console: Console) -> None:
    """Serve a config file until SIGINT or SIGTERM.

    Raises:
        ConfigError: The file is wrong.
        ConflictError: Another `serve` holds the data folder, a port is taken, or a folder holds
            something else.
        FormatError: The state can't be read.
    """
    config = load_config(file)
    layout = Layout(config.data_dir)
    layout.make()
    what = f"data folder {config.data_dir}"
    with contextlib.ExitStack() as stack:
        lock = acquire(layout.serve_lock, {"name": "serve"}, what=what)
        stack.callback(lock.release)
        store = StateStore(layout.state, event_count_max=config.limits.event_count_max)
        stack.enter_context(store)
        reactor = EpollReactor()
        stack.callback(reactor.close)
        Supervisor(layout, config, store, reactor, console).run()


class Supervisor:
    """One server.

    Args:
        layout: Where things lie.
        config: The config file.
        store: The state.
        reactor: The loop.
        console: The operator's screen.
    """

    def __init__(
        self,
        layout: Layout,
        config: Config,
        store: StateStore,
        reactor: EpollReactor,
        console: Console,
    ) -> None:
        self.layout = layout
        self.reactor = reactor
        self.journal = Journal(layout, store, console, reactor.call_soon)
        self.journal.registry = config.registry
        self.catalogue = Catalogue(layout, store, self.journal.emit)
        self.children = Children(
            layout,
            reactor,
            emit=self.journal.emit,
            changed=self._changed,
            restart_delay_s_max=config.limits.restart_delay_s_max,
        )
        self.screen = Screen(self, console)
        self.commands = Commands(self)
        self._config = config
        self._routed: dict[str, Message] = {}
        self._portal: Child | None = None
        self._are_policies_due = True
        self._stop_timeout_s: float = config.limits.stop_timeout_s
        self._plans: dict[str, Plan] = {}
        self._planned = -1
        self._is_stopping = False
        self._is_looking = False
        self._timer: Timer | None = None
        self._deletion_timer: Timer | None = None

    def run(self) -> None:
        """Serve until told to stop, then until everything has stopped."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.journal.close)
            stack.callback(self.children.detach)
            adopted = self.children.adopt_living()
            self._note_fenced()
            if not any(child.plan.role is Role.PORTAL for child in adopted):
                self._try_ports()
            self.catalogue.apply(self._config, is_reload=False)
            listener = listen(self.layout.socket("serve"))
            control = ControlServer(self.reactor, listener, self.commands.handle)
            stack.callback(self.layout.socket("serve").unlink, missing_ok=True)
            stack.callback(control.close)
            stack.enter_context(self._signals())
            self.screen.open(len(adopted))
            self.look()
            self.reactor.run()
            self.screen.close()

    def look(self) -> None:
        """Look again what is to be done, soon."""
        if not self._is_looking:
            self._is_looking = True
            self.reactor.call_soon(self._look)

    # -- what is to be done ------------------------------------------------------------------------

    def _look(self) -> None:
        self._is_looking = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        desired = self._desired()
        self._forget_unwanted(desired)
        observed = [
            child.observe()
            for child in self.children.all()
            # One that ends by itself is neither wanted nor unwanted while it runs.
            if self._is_stopping or child.plan.role is not Role.POLICIES
        ]
        if self._is_stopping and not observed:
            self.reactor.stop()
            return
        self._act(desired, observed)
        for plan in desired.values():
            self.children.tell(plan)
        self._run_policies()
        self._update_routes()

    def _act(self, desired: dict[str, Plan], observed: list[Observed]) -> None:
        now = self.reactor.now()
        for action in reconcile(desired, observed, now, stop_timeout_s=self._stop_timeout_s):
            match action:
                case Start(plan):
                    self.children.start(plan)
                case Stop(name, reason):
                    self._tell_stop(name, reason)
                    self.children.stop(name)
                case Kill(name):
                    self.children.kill(name)
                case Look(at):
                    self._timer = self.reactor.call_later(max(at - now, 0.0), self.look)

    def _desired(self) -> dict[str, Plan]:
        """Return what should run; planned anew only after the catalogue has changed."""
        if self._is_stopping:
            return {}
        if self._planned != self.catalogue.version:
            self._planned = self.catalogue.version
            self._plans = {plan.name: plan for plan in plan_all(self.catalogue)}
        return self._plans

    def _forget_unwanted(self, desired: dict[str, Plan]) -> None:
        """Drop what is down and not wanted, and do what had to wait for that."""
        for child in self.children.all():
            if not child.is_running and child.plan.name not in desired:
                self.children.forget(child.plan.name)
                self._drop_page(child)
        alive = {child.plan.volume for child in self.children.all()}
        for name in self.catalogue.due - alive:
            self.commands.advanced(name, self.catalogue.advance(name))
            # A volume that stays, or goes on, is to be served again.
            self.look()
        if self.catalogue.deletions.pending and self._deletion_timer is None:
            self._deletion_timer = self.reactor.call_later(DELETION_RETRY_S, self._retry_deletions)

    def _retry_deletions(self) -> None:
        self._deletion_timer = None
        self.catalogue.deletions.look_again()
        self.look()

    def _drop_page(self, child: Child) -> None:
        """A page of what no longer runs would show numbers that are nobody's."""
        if child.plan.role in (Role.TARGET, Role.MEMBER):
            member = child.plan.name.split(".")[2] if child.plan.role is Role.MEMBER else ""
            self.layout.page(child.plan.volume, member).unlink(missing_ok=True)

    def _changed(self, child: Child) -> None:
        if child.fenced:
            self._note_fenced()
        self.commands.changed(child)
        self.look()

    def _note_fenced(self) -> None:
        """Move what fenced targets left behind into the state, where it outlives them."""
        for path in self.layout.run.glob("target.*.ended"):
            volume = path.name.removeprefix("target.").removesuffix(".ended")
            self.catalogue.fence(volume, path.read_text(errors="replace"))
            path.unlink()

    def _tell_stop(self, name: str, reason: str) -> None:
        if not self._is_stopping:
            self._emit(name, "node.process.stopping", f"{name} is asked to stop: {reason}", "info")

    def _emit(self, subject: str, code: str, message: str, severity: str = "error") -> None:
        self.journal.emit(Event(code, message, f"process/{subject}", severity))

    def _run_policies(self) -> None:
        """Hand the policies their volumes, once after each change; what fails waits for the
        next change."""
        running = self.children.get(Role.POLICIES.value)
        is_idle = running is None or not running.is_running
        if self._are_policies_due and is_idle and not self._is_stopping:
            documents = policy_documents(self.catalogue)
            if documents:
                # A file, because a thousand volumes don't fit into a control message.
                replace_file(self.layout.policies, json.dumps(documents).encode())
            if not documents or self.children.start(Plan(Role.POLICIES.value, Role.POLICIES)):
                self._are_policies_due = False

    def volumes_changed(self) -> None:
        """Policies may have something to say about it."""
        self._are_policies_due = True
        self.look()

    # -- the portal --------------------------------------------------------------------------------

    def _update_routes(self) -> None:
        """Tell the portal what has changed; a new one everything, then that it may accept."""
        portal = self.children.get(Role.PORTAL.value)
        if portal is None or portal.phase != "up" or portal.peer is None or self._is_stopping:
            self._portal = None
            return
        is_new = portal is not self._portal
        if is_new:
            self._portal, self._routed = portal, {}
        wanted = self._routes()
        for volume in self._routed.keys() - wanted.keys():
            portal.peer.send({"do": "unroute", "volume": volume})
        for volume, route in wanted.items():
            if self._routed.get(volume) != route:
                portal.peer.ask(route, self._routed_now(volume))
        self._routed = wanted
        if is_new:
            portal.peer.send({"do": "open"})

    def _routed_now(self, volume: str) -> Callable[[Message], None]:
        """What is told to have come up must be reachable: it is told after the portal knows."""

        def answered(_answer: Message) -> None:
            if self.is_up(volume):
                self.commands.reachable(volume)
                self.screen.reachable(volume)

        return answered

    def _routes(self) -> dict[str, Message]:
        return {
            name: {
                "do": "route",
                "frontend": one.config.frontend,
                "volume": name,
                "options": options_to_mapping(one.config.frontend_options),
                "is_up": self.is_up(name),
            }
            for name, one in self.catalogue.served.items()
        }

    def is_up(self, volume: str) -> bool:
        """True if the volume's target runs."""
        target = self.children.get(f"target.{volume}")
        return target is not None and target.phase == "up"

    def _try_ports(self) -> None:
        """A taken port is one clear error now, not a portal that dies again and again."""
        for section in self._config.frontends.values():
            for address in section.listen:
                open_listener(address).close()

    # -- signals -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        inner, outer = socket.socketpair()
        inner.setblocking(False)
        outer.setblocking(False)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        # The wakeup descriptor carries the news into the loop; the handlers have nothing to do.
        before = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
        signal.set_wakeup_fd(outer.fileno(), warn_on_full_buffer=False)

        def arrived(_events: int) -> None:
            for number in inner.recv(64):
                if number == signal.SIGHUP:
                    self.reload()
                elif number in (signal.SIGINT, signal.SIGTERM):
                    self.stop()

        self.reactor.watch(inner.fileno(), READABLE, arrived)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            self.reactor.unwatch(inner.fileno())
            inner.close()
            outer.close()

    def stop(self) -> None:
        """End everything, orderly; a second time: hurry."""
        if self._is_stopping:
            self._stop_timeout_s = min(self._stop_timeout_s, HURRY_TIMEOUT_S)
        self._is_stopping = True
        self.screen.stopping(self._stop_timeout_s)
        self.look()

    def reload(self) -> None:
        """Read the config file again. One that is wrong changes nothing."""
        try:
            config = load_config(Path(self._config.file))
        except (TierceError, OSError) as error:
            self._emit("serve", "config.refused", f"reload: {error}; nothing was changed")
            return
        if config.data_dir != self._config.data_dir:
            why = "reload: data_dir can't be changed while serving; nothing was changed"
            self._emit("serve", "config.refused", why)
            return
        self._config = config
        self._stop_timeout_s = config.limits.stop_timeout_s
        self.journal.registry = config.registry
        self.catalogue.apply(config, is_reload=True)
        self._emit("serve", "config.reloaded", f"{config.file} was read again", "info")
        self.volumes_changed()
