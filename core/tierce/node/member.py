"""A member process: one replica of one volume."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping

from tierce.codec import from_json
from tierce.contexts import Member, MemberContext
from tierce.errors import PluginError
from tierce.node.pages import make_page
from tierce.node.published import find_service
from tierce.process.messages import Command
from tierce.process.paths import replace_file
from tierce.process.process_loop import Process
from tierce.process.settings import MemberSettings, load_store_options
from tierce.registry import Registry, blaming, resolve
from tierce.registry.lifecycles import store_of
from tierce.statuses import MEMBER, MemberStatus, to_mapping


def start_member(process: Process, registry: Registry) -> MemberProcess:
    """Start the replicator's member."""
    return MemberProcess(process, registry, from_json(MemberSettings, process.plan.settings))


class MemberProcess:
    """The member in this process.

    Args:
        process: The process.
        registry: The plugins.
        settings: The volume and the member.
    """

    #: A member answers nothing on the control socket but what every process does.
    commands: Mapping[str, Command] = {}

    def __init__(self, process: Process, registry: Registry, settings: MemberSettings) -> None:
        engine = registry.engines[settings.engine]
        replicator = engine.replicator
        if replicator not in registry.replicators:
            raise PluginError(
                f"its engine {settings.engine!r} names members but no replicator that runs them",
                plugin=settings.engine,
            )
        paths = process.paths
        self._address = paths.address(settings.volume, settings.member.name)
        self._page = make_page(process, settings.volume, settings.uuid, settings.member.name)
        with blaming(registry, "replicator", replicator, "being imported"):
            factory = resolve(registry.replicators[replicator].member)
        assert callable(factory), "a replicator's member is a class or function"
        store = store_options = None
        if engine.store:
            store = store_of(registry, engine.store)
            store_options = load_store_options(registry, engine.store, settings.store_options)
        # Where the one before listened means nothing any more.
        self._address.unlink(missing_ok=True)
        self._member: Member = factory(
            MemberContext(
                volume_name=settings.volume,
                volume_uuid=settings.uuid,
                size_bytes=settings.size_bytes,
                block_size=settings.block_size,
                member=settings.member,
                reactor=process.reactor,
                boot_id=process.boot_id,
                announce=self._announce,
                stage=self._page.stage,
                emit=process.emit,
                publish=lambda status: self._page.publish(MEMBER, to_mapping(status, MemberStatus)),
                store=store,
                store_options=store_options,
                find_service=lambda name: find_service(process.paths, name),
                logger=logging.getLogger(f"tierce.member.{settings.member.name}"),
            )
        )
        origin = registry.origin("replicator", replicator)
        process.manager.add(f"member.{settings.member.name}", self._member, origin)

    def close(self, closed: Callable[[], None]) -> None:
        """End orderly; then `closed()`."""

        def member_closed() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._address.unlink()
            self._page.close()
            closed()

        self._member.close(member_closed)

    def _announce(self, address: str) -> None:
        replace_file(self._address, address.encode("ascii"))
