"""A target process: one volume's pipeline and its front ends on one loop."""

from __future__ import annotations

import base64
import binascii
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tierce.block.operation import Op
from tierce.block.status import Status
from tierce.contexts import OpenContext
from tierce.durable import replace_durably
from tierce.errors import FormatError, ProtocolError, explain
from tierce.node.fronts import Fronts
from tierce.node.pages import make_page
from tierce.node.published import find_service
from tierce.node.reconfiguring import LiveParts, running_parts
from tierce.process.descriptors import is_spare, limit
from tierce.process.messages import Command, Message, close_all
from tierce.process.paths import Paths
from tierce.process.plan import EXIT_FENCED
from tierce.process.process_loop import Process, log_story
from tierce.process.settings import TargetSettings
from tierce.registry import Registry
from tierce.spec import Event, VolumeSpec
from tierce.stage import ROOT_STAGE, Stage
from tierce.statuses import as_shown
from tierce.tracing import Tracer
from tierce.volume.calling import HERE, Caller
from tierce.volume.following import Following
from tierce.volume.pipeline import Pipeline, open_pipeline
from tierce.volume.statistics import StatisticsPage
from tierce.volume.trace_ring import TraceRing

#: An address is "HOST:PORT"; a file with more is not ours.
ADDRESS_BYTES_MAX = 512


def start_target(process: Process, registry: Registry) -> Target:
    """Open the volume and its front ends."""
    plan = process.plan
    settings = TargetSettings.from_values(plan.settings, plan.live, registry)
    return Target(process, registry, settings)


class Target:
    """The volume in this process.

    Args:
        process: The process.
        registry: The plugins.
        settings: The volume.
    """

    def __init__(self, process: Process, registry: Registry, settings: TargetSettings) -> None:
        self._process = process
        self._page = make_page(process, settings.volume.name, settings.volume.uuid)
        self._ring = TraceRing.create(process.paths.traces(settings.volume.name))
        tracer = Tracer(self._ring.write, self._ring.leave_out, slow=self._count_slow)
        self._following = Following(settings.volume.name, tracer, process.reactor)
        self._is_over = False
        self._volume = volume = settings.volume
        context = OpenContext(
            volume=volume,
            options=volume.engine_options,
            reactor=process.reactor,
            members=settings.members,
            boot_id=process.boot_id,
            stage=self._stage,
            emit=process.emit,
            member_address=member_addresses(process.paths, volume.name),
            fenced=self._fence,
            find_service=lambda name: find_service(process.paths, name),
            tracer=tracer,
        )
        self._fronts: Fronts | None = None
        self._pipeline: Pipeline = open_pipeline(context, registry, self._page.publish)
        self._fronts = Fronts(process, registry, settings, self._pipeline, self._page, tracer)
        self._live = LiveParts(
            volume.name,
            running_parts(settings, registry, self._pipeline, self._fronts),
            emit=process.emit,
            show=lambda kept: process.show({"kept_options": kept}),
        )
        for name, part, origin, caller in self._parts(volume, registry):
            process.manager.add(name, part, origin, caller)

    @property
    def commands(self) -> Mapping[str, Command]:
        """`adopt-connection`: serve the connection that comes with it; `reconfigure`: take other
        live options."""
        return {"adopt-connection": self._adopt_connection, "reconfigure": self._reconfigure}

    def close(self, closed: Callable[[], None]) -> None:
        """End the sessions, then the pipeline; then `closed()`."""

        def pipeline_closed(status: Status) -> None:
            if not status.is_good:
                self._process.emit(
                    Event(
                        "volume.close-failed",
                        f"closed with: {status.reason or status.code.value}",
                        f"volume/{self._process.plan.volume}",
                        "error",
                    )
                )
            self._page.close()
            self._ring.close()
            closed()

        self._is_over = True
        # Sessions end when their writes are answered.
        self._pipeline.holding.close()
        self._following.close()
        assert self._fronts is not None, "closed only after it was opened"
        self._fronts.close(lambda: self._pipeline.close(pipeline_closed))

    def _parts(
        self, volume: VolumeSpec, registry: Registry
    ) -> Iterator[tuple[str, object, str, Caller]]:
        """Yield what has actions, by the name that they are asked of, who brings it, and what calls
        it; the second of two filters of one name, seen from the front end, is "filter.NAME:2"."""
        pipeline = self._pipeline
        yield "target", pipeline.part, "", HERE
        yield "tracer", self._following, "", HERE
        yield "engine", pipeline.engine, registry.origin("engine", volume.engine), pipeline.caller
        seen: Counter[str] = Counter()
        filters = zip(volume.filters, pipeline.filters, pipeline.filter_callers, strict=True)
        for (name, _options), part, caller in filters:
            seen[name] += 1
            instance = f"filter.{name}" + (f":{seen[name]}" if seen[name] > 1 else "")
            yield instance, part, registry.origin("filter", name), caller
        assert self._fronts is not None, "asked only after it was opened"
        for name in (export.frontend for export in volume.exports):
            origin = registry.origin("front end", name)
            yield f"frontend.{name}", self._fronts.of(name), origin, HERE

    def _stage(self, name: str) -> Stage:
        return self._page.stage(name)

    def _count_slow(self, op: Op) -> None:
        self._page.stage(ROOT_STAGE).slow(op)

    def _adopt_connection(self, message: Message, descriptors: list[int]) -> Message:
        try:
            handover = base64.b64decode(message["handover"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            close_all(descriptors)
            raise ProtocolError(f"not a handover: {error}") from error
        if len(descriptors) != 1 or self._is_over or self._fronts is None:
            close_all(descriptors)
            raise ProtocolError("a handover brings one connection, to an open target")
        if not is_spare(descriptors[0]):
            close_all(descriptors)
            raise ProtocolError(f"no room for another connection: {limit()} descriptors at most")
        connection = socket.socket(fileno=descriptors[0])
        connection.setblocking(False)
        try:
            self._fronts.adopt(message.get("frontend"), connection, handover)
        except Exception as error:
            # Part of the handover is what a stranger sent: it ends that connection at worst.
            log_story(error)
            self._process.reactor.unwatch(connection.fileno())
            connection.close()
            raise ProtocolError(f"the front end failed on a handover: {explain(error)}") from error
        return {}

    def _reconfigure(self, message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        if not self._is_over:
            self._live.take(message.get("live"))
        return {}

    def _fence(self, reason: str) -> None:
        """Another target has the volume: stop answering, say so, stay down."""
        if self._is_over:
            return
        self._is_over = True
        if self._fronts is not None:
            self._fronts.abandon(reason)
        plan = self._process.plan
        # The supervisor keeps it down from now on, whether that can be noted or not.
        self._process.show({"fenced": reason})
        try:
            # Durable: after a loss of power it must stay down as well.
            replace_durably(self._process.paths.ended(plan.name), reason.encode())
        except OSError as error:
            reason += f" (which can't be noted: {explain(error)})"
        self._process.emit(
            Event(
                "volume.fenced",
                f"another writer has taken volume {plan.volume}: {reason}. It stays down here "
                f"until `tierce volume claim {plan.volume}`",
                f"volume/{plan.volume}",
                "error",
            )
        )
        self._process.end(EXIT_FENCED)


def member_addresses(paths: Paths, volume: str) -> Callable[[str], str | None]:
    """Return a function that reads where a member listens now."""

    def member_address(member: str) -> str | None:
        path = paths.address(volume, member)
        try:
            with path.open("rb") as file:
                return file.read(ADDRESS_BYTES_MAX).decode("ascii").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(f"not an address: {explain(error)}", path=path) from error

    return member_address


def read_page(path: Path) -> dict[str, Any] | None:
    """Return what a statistics page says now; None if it can't be read."""
    try:
        page = StatisticsPage.open(path)
    except (OSError, FormatError):
        return None
    try:
        return page.snapshot()
    except ValueError:
        # What lies there is not what a target writes.
        return None
    finally:
        page.close()


def read_snapshot(path: Path) -> dict[str, Any]:
    """Return what a statistics page says now, its statuses as users read them (see `as_shown`);
    empty if it can't be read."""
    page = read_page(path) or {"stages": {}, "published": {}}
    return {**page, "published": as_shown(page["published"])}
