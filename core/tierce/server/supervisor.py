"""The supervisor: `tierce serve`.

It plans what should run, sees what runs, and lets `reconcile` say what to do; after everything
that happens it looks again. It is needed to change things, not to serve: killing it stops no I/O,
and the next one adopts what it finds alive.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

from tierce.config import Config, Limits, load_config
from tierce.errors import TemporaryError, explain
from tierce.inventory.planning import plan_all
from tierce.inventory.preflight import Findings, examine
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.process.descriptors import raise_limit
from tierce.process.epoll import EpollReactor
from tierce.process.messages import ControlServer
from tierce.process.paths import Paths, listen
from tierce.process.plan import Plan, Role
from tierce.process.rounds import SlowRounds
from tierce.process.signals import caught_signals
from tierce.process.whereabouts import Whereabouts
from tierce.reactor import Timer
from tierce.server.acting import Acting
from tierce.server.action_requests import ActionRequests
from tierce.server.bugs import Bugs
from tierce.server.commands import Commands
from tierce.server.conditions import Conditions
from tierce.server.evaluating import Evaluating
from tierce.server.event_log import Console, EventLog
from tierce.server.fencing import note_fenced
from tierce.server.importing import Imports
from tierce.server.inspecting import Inspector, is_durable
from tierce.server.listeners import Listeners
from tierce.server.node import Node
from tierce.server.policy_settings import PolicySettings
from tierce.server.reloading import reload
from tierce.server.routing import Router
from tierce.server.starting import Starting, try_ports
from tierce.server.status_display import StatusDisplay
from tierce.server.works import Works
from tierce.spec import Event
from tierce.state import acquire
from tierce.state.store import StateStore
from tierce.supervision.child import Child
from tierce.supervision.children import Children
from tierce.supervision.reconcile import GiveUp, Kill, Look, Observed, Start, Stop, reconcile
from tierce.supervision.system import System
from tierce.supervision.watchdog import Watchdog

#: A second signal gives processes this long before they are killed.
HURRY_TIMEOUT_S = 1.0
#: How often a deletion that waits for something, a disk that is not mounted, looks for it.
DELETION_RETRY_S = 5.0


def serve(file: Path, console: Console, *, is_strict: bool = False) -> None:
    """Serve a config file until SIGINT or SIGTERM.

    Args:
        file: The config file.
        console: The operator's screen.
        is_strict: End where anything that it names can't be served, instead of serving the rest.

    Raises:
        ConfigError: The file is wrong.
        ConflictError: Another `serve` holds the data folder.
        FormatError: The state can't be read.
        TemporaryError: The data folder can't be written: its disk is full.
        TierceError: Nothing that it names can be served.
    """
    raise_limit()
    # A terminal that closes now, or a reload that comes too early, must not end it: the file is
    # being read anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    imports = Imports()
    config = load_config(file, is_lenient=True, tried=imports.look)
    findings = examine(config)
    findings.check_general()
    paths = Paths(config.data_dir)
    paths.make()
    what = f"data folder {config.data_dir}"
    with contextlib.ExitStack() as stack:
        try:
            lock = acquire(paths.serve_lock, {"name": "serve"}, what=what)
            stack.callback(lock.release)
            store = StateStore(paths.state, event_count_max=config.limits.event_count_max)
        except OSError as error:
            raise TemporaryError(f"{what} can't be used: {explain(error)}") from error
        stack.enter_context(store)
        reactor = EpollReactor()
        stack.callback(reactor.close)
        supervisor = Supervisor(paths, config, store, reactor, console, imports=imports)
        supervisor.run(findings, is_strict=is_strict)


class Supervisor:
    """One server.

    Args:
        paths: Where things lie.
        config: The config file.
        store: The state.
        reactor: The loop.
        console: The operator's screen.
        system: What starts, watches and signals processes.
        imports: What is known of what plugins import.
    """

    def __init__(
        self,
        paths: Paths,
        config: Config,
        store: StateStore,
        reactor: EpollReactor,
        console: Console,
        system: System | None = None,
        imports: Imports | None = None,
    ) -> None:
        self.paths = paths
        self.reactor = reactor
        self.event_log = EventLog(paths, store, console, reactor.call_soon)
        self.listeners = self.event_log.listeners = Listeners(reactor, self.event_log.emit)
        self.listeners.use(config.registry)
        emit, limits = self.event_log.emit, config.limits
        reactor.tell_slow(SlowRounds("serve", "process/serve", reactor, emit).take)
        self.children = Children(
            paths,
            reactor,
            emit=emit,
            changed=self._changed,
            restart_delay_s_max=limits.restart_delay_s_max,
            system=system,
        )
        whereabouts = Whereabouts(paths)
        self.works = works = Works(paths, reactor, self.children, whereabouts, emit, self.look)
        works.use(config.registry)
        self.inventory = VolumeInventory(paths, store, emit, works, self.volumes_changed)
        self.watchdog = Watchdog(
            self.children,
            reactor,
            whereabouts,
            emit=emit,
            changed=self._changed,
            limits=limits,
        )
        settings = self.policy_settings = PolicySettings(paths, emit)
        self.node = node = Node(paths, reactor, self.inventory, self.children, settings, emit)
        self.router = router = Router(node, self.reachable)
        self.conditions = conditions = Conditions(node, router)
        inspector = Inspector(node, router, conditions)
        self.policies = Evaluating(node, self.look)
        self.status_display = StatusDisplay(node, inspector, conditions, console)
        self.action_requests = ActionRequests(Acting(node))
        self.commands = Commands(
            node,
            inspector,
            conditions,
            self.action_requests,
            look=self.look,
            volumes_changed=self.volumes_changed,
        )
        self._imports = imports if imports is not None else Imports()
        self._console = console
        self._store = store
        self.config = config
        self._reached: dict[str, int] = {}
        self._stop_timeout_s: float = limits.stop_timeout_s
        self._plans: dict[str, Plan] = {}
        self._planned = (-1, -1)
        self._starting = Starting(config, self.inventory, {}, is_strict=False)
        self._notes: tuple[str, ...] = ()
        self._is_stopping = False
        self._is_looking = False
        self._bugs = Bugs(reactor.now, emit, paths.log("serve"))
        self._timer: Timer | None = None
        self._deletion_timer: Timer | None = None

    def run(self, findings: Findings, *, is_strict: bool = False) -> None:
        """Serve until told to stop, then until everything has stopped.

        Args:
            findings: What was found about the config file.
            is_strict: As in `serve`.

        Raises:
            TierceError: Nothing can be served, or, if strict, not everything.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self.event_log.close)
            stack.callback(self.children.detach)
            adopted = self.children.adopt_living()
            note_fenced(self.node)
            self.works.end_former(adopted)
            has_portal = any(child.plan.role is Role.PORTAL for child in adopted)
            ports = {} if has_portal else try_ports(self.config)
            self._starting = Starting(self.config, self.inventory, ports, is_strict=is_strict)
            self.inventory.apply(self.config, refused=findings.refused)
            listener = listen(self.paths.socket("serve"))
            control = ControlServer(
                self.reactor, listener, self.commands.handle, self.action_requests.gone
            )
            stack.callback(self.paths.socket("serve").unlink, missing_ok=True)
            stack.callback(control.close)
            actions = {
                signal.SIGHUP: self.reload,
                signal.SIGINT: self.stop,
                signal.SIGTERM: self.stop,
            }
            stack.enter_context(caught_signals(self.reactor, actions))
            self._notes = (*self.config.advice, *findings.notes)
            self.watchdog.start()
            self._decide()
            if not self._is_stopping:
                self.look()
                self.reactor.run(self._bugs.survive)
            if self._starting.error is not None:
                # What ends the server is told by its end: once.
                self._console.close()
                raise self._starting.error
            self.status_display.close()

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
        self._decide()
        desired = self._desired()
        self._forget_unwanted(desired)
        observed = [
            child.observe()
            for child in self.children.all()
            if self._starting.concerns(child, is_stopping=self._is_stopping)
        ]
        if self._is_stopping and not observed:
            self.reactor.stop()
            return
        self._act(desired, observed)
        if self._is_stopping:
            return
        self.works.look()
        if self._starting.is_decided:
            for plan in desired.values():
                self.children.tell(plan)
            self.policies.look()
            self.router.update()

    def _decide(self) -> None:
        """See whether this server serves, and begin with it, or end."""
        if self._starting.is_decided or self._is_stopping:
            return
        self._starting.look()
        if self._starting.error is not None:
            self._is_stopping = True
            self.watchdog.stop()
        elif self._starting.is_decided:
            self.node.drop_strange_pages()
            self.status_display.open(sum(child.is_adopted for child in self.children.all()))
            for note in self._notes:
                self.status_display.note(note)

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
                case GiveUp(name):
                    self.children.give_up(name)
                    self.look()
                case Look(at):
                    self._timer = self.reactor.call_later(max(at - now, 0.0), self.look)

    def _desired(self) -> dict[str, Plan]:
        """Return what should run; planned anew only after the inventory, or what policies set, has
        changed."""
        if self._is_stopping:
            return {}
        if not self._starting.is_decided:
            # What makes volumes is forked as well.
            fork_server = next(plan_all(self.inventory, self.policy_settings.in_force))
            return {fork_server.name: fork_server}
        versions = (self.inventory.version, self.policy_settings.version)
        if self._planned != versions:
            self._planned = versions
            policy_set = self.policy_settings.use(self.inventory)
            self._plans = {plan.name: plan for plan in plan_all(self.inventory, policy_set)}
        return self._plans

    def _forget_unwanted(self, desired: dict[str, Plan]) -> None:
        """Drop what is down and not wanted, and do what had to wait for that."""
        for child in self.children.all():
            if not child.is_running and child.plan.name not in desired:
                self.children.forget(child.plan.name)
                # A stop in order is no end of a volume: its counters go on at the next start.
                if not self._is_stopping:
                    self.node.drop_page(child)
        alive = {child.plan.volume for child in self.children.all()}
        for name in self.inventory.due - alive:
            self.commands.advance(name)
        if self.inventory.deletions.pending and self._deletion_timer is None:
            self._deletion_timer = self.reactor.call_later(DELETION_RETRY_S, self._retry_deletions)

    def _retry_deletions(self) -> None:
        self._deletion_timer = None
        self.inventory.deletions.look_again()
        self.look()

    def _changed(self, child: Child) -> None:
        if child.fenced:
            note_fenced(self.node, child)
        self.commands.changed(child)
        if child.plan.role is Role.POLICIES:
            self.policies.heard(child)
        elif child.plan.role is Role.WORK:
            self.works.heard(child)
        self.look()

    def _tell_stop(self, name: str, reason: str) -> None:
        if not self._is_stopping:
            self._emit(name, "node.process.stopping", f"{name} is asked to stop: {reason}", "info")

    def _emit(self, subject: str, code: str, message: str, severity: str = "error") -> None:
        self.event_log.emit(Event(code, message, f"process/{subject}", severity))

    def volumes_changed(self) -> None:
        """Policies may have something to say about it."""
        self.policies.changed()
        self.look()

    # -- what is served ----------------------------------------------------------------------------

    def reachable(self, volume: str) -> None:
        """A volume can be used now: tell who waits for it."""
        self.commands.reachable(volume)
        served, target = self.inventory.served.get(volume), self.node.target(volume)
        if served is None or target is None:
            return
        before = self._reached.get(volume)
        self._reached[volume] = target.pid
        if before not in (None, target.pid) and not is_durable(self.inventory.config, served):
            why = f"engine {served.volume.engine} keeps nothing when its process ends"
            self._emit(volume, "volume.emptied", f"volume {volume} is empty again: {why}")
        self.status_display.reachable(volume)

    # -- what an operator wants --------------------------------------------------------------------

    def stop(self) -> None:
        """End everything, orderly; a second time: hurry."""
        if self._is_stopping:
            self._stop_timeout_s = min(self._stop_timeout_s, HURRY_TIMEOUT_S)
        self._is_stopping = True
        self.watchdog.stop()
        self.status_display.stopping(self._stop_timeout_s)
        self.look()

    def reload(self) -> None:
        """Read the config file again, once what it has new of plugins has been tried."""
        self._imports.look_again(Path(self.config.file), self.reactor, self._reload)

    def _reload(self) -> None:
        if not self._is_stopping:
            reload(self.node, self.use, self.status_display.note, self._imports.unusable)

    def _use_limits(self, limits: Limits) -> None:
        self._stop_timeout_s = limits.stop_timeout_s
        self.watchdog.use(limits)
        self.children.limit_delay(limits.restart_delay_s_max)
        self._store.event_count_max = limits.event_count_max

    def use(self, config: Config, findings: Findings, settled: Callable[[], None]) -> None:
        """Take a config file that was read again; `settled()` when all of it is applied."""
        self.config = config
        self._use_limits(config.limits)
        self.listeners.use(config.registry)
        self.works.use(config.registry)
        self.policy_settings.forget_others(config)
        self.inventory.apply(config, refused=findings.refused, settled=settled)
        self.volumes_changed()
