"""A service's process: beside the data processes, never in them.

The service works on a thread of its own, so that the loop goes on answering the supervisor.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tierce.actions import ActionCall
from tierce.codec import to_json
from tierce.errors import PluginError, TemporaryError, TierceError, explain
from tierce.node.following import Follower
from tierce.node.observing import read_statistics
from tierce.node.published import Publisher, find_service
from tierce.node.trace_following import TraceFollower
from tierce.process.client import ask
from tierce.process.inbox import Inbox
from tierce.process.loggers import plugin_logger
from tierce.process.messages import Command, Message
from tierce.process.plan import EXIT_FAILED
from tierce.process.process_loop import Process, log_story
from tierce.process.settings import load_service_options
from tierce.process.telling import stamped
from tierce.registry import Registry, blaming, mistake, resolve
from tierce.services import Service, ServiceContext, VolumeStatistics
from tierce.spec import Event

#: A server that says nothing for so long is asked again with the next call: a service must not
#: wait for a server that hangs.
PATIENCE_S = 5.0


def start_service(process: Process, registry: Registry) -> ServiceProcess:
    """Start the service of this process.

    Raises:
        PluginError: What its factory makes is no service.
    """
    name = str(process.plan.settings["service"])
    options = load_service_options(registry, name, process.plan.settings["options"])
    return ServiceProcess(process, registry, name, options)


class ServiceProcess:
    """The service in this process.

    Args:
        process: The process.
        registry: The plugins.
        name: The service's name.
        options: Its options.
    """

    commands: Mapping[str, Command] = {}

    def __init__(self, process: Process, registry: Registry, name: str, options: Any) -> None:
        self._process = process
        self._name = name
        self._registry = registry
        self._stopping = threading.Event()
        self._closed: Callable[[], None] | None = None
        self._inbox = Inbox(process.reactor)
        self._publisher = Publisher(process.paths, process.plan.name)
        self._follower = Follower(process.paths.place(process.plan.name), self._ask)
        self._trace_follower = TraceFollower(
            process.paths, process.paths.trace_places(process.plan.name), process.plan.volume
        )
        factory = registry.services[name].factory
        self._service = self._make(factory, self._context(options))
        # As one of a node it has its process alone; as one of a volume it is a part of that.
        part = f"service.{name}" if process.plan.volume else "service"
        process.manager.add(part, self._service, registry.origin("service", name))
        process.reactor.offload(self._service.run, self._ended)

    def close(self, closed: Callable[[], None]) -> None:
        """Tell it to stop; `closed()` when it has."""
        self._closed = closed
        self._stopping.set()

    # -- inside ------------------------------------------------------------------------------------

    def _context(self, options: Any) -> ServiceContext:
        paths, volume = self._process.paths, self._process.plan.volume
        subject = f"service/{self._name}" + (f"/{volume}" if volume else "")
        return ServiceContext(
            name=self._name,
            volume=volume,
            options=options,
            statistics=self._statistics,
            events=self._follower.events,
            traces=self._trace_follower.traces,
            wait=lambda seconds: not self._stopping.wait(seconds),
            act=self._act,
            emit=self._post_event,
            call_soon=self._call_soon,
            logger=plugin_logger(f"service.{self._name}", subject, self._post_line),
            publish_socket=self._publisher.publish,
            find_service=lambda name: find_service(paths, name),
        )

    def _ask(self, message: Message) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        return ask(self._process.paths.data, message, patience_s=PATIENCE_S)

    def _statistics(self) -> Mapping[str, VolumeStatistics]:
        def rows(message: Message) -> list[Message]:
            try:
                return self._ask(message)[0]
            except TierceError:
                return []

        return read_statistics(self._process.paths, rows, self._process.plan.volume)

    def _act(self, call: ActionCall) -> Mapping[str, Any]:
        message = {"do": "act", **to_json(call)}
        return ask(self._process.paths.data, message)[1]

    def _call_soon(self, call: Callable[[], None]) -> None:
        if not self._inbox.post(call):
            raise TemporaryError("too many calls wait for the loop already")

    def _post_event(self, event: Event) -> None:
        event = stamped(event)
        self._inbox.post(lambda: self._process.emit(event))

    def _post_line(self, event: Event) -> None:
        # The log is the loop's: it is put aside when it is full.
        event = stamped(event)
        self._inbox.post(lambda: self._process.log(event))

    def _ended(self, _result: None, error: BaseException | None) -> None:
        self._inbox.close()
        self._publisher.close()
        if error is not None:
            log_story(error)
        if self._closed is not None:
            self._closed()
            return
        why = explain(error) if error is not None else "it returned before it was told to"
        name = self._process.plan.name
        origin = self._registry.origin("service", self._name)
        message = f"{name}: {why} (a service of {origin})"
        self._process.emit(Event("node.process.failed", message, f"process/{name}", "error"))
        self._process.end(EXIT_FAILED)

    def _make(self, factory: str, context: ServiceContext) -> Service:
        with blaming(self._registry, "service", self._name, "being made"):
            make = resolve(factory)
            if not callable(make):
                raise self._error(f"its factory {factory} is no class or function")
            service = make(context)
        if not callable(getattr(service, "run", None)):
            made = type(service).__name__
            raise self._error(
                f"its factory {factory} made an instance of {made}, which has no run(); expected "
                "a tierce.Service"
            )
        if inspect.iscoroutinefunction(service.run):
            raise self._error("its run is an `async def`; nobody would await it")
        return service  # type: ignore[no-any-return]  # a stranger's

    def _error(self, why: str) -> PluginError:
        return mistake(self._registry, "service", self._name, why)
