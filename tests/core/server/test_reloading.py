"""What a reload changes, and how it is told."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tierce.config import Config, config_from_bytes
from tierce.inventory.engines import Served
from tierce.process.listening import open_listener
from tierce.server.reloading import describe_change, keep_ports

VOLUME = "  - {{name: {0}, size: {1}, engine: memory, frontend: iscsi}}\n"


def config(text: str) -> Config:
    return config_from_bytes(text.encode(), Path("/etc/tierce.yaml"))


def listening(*addresses: str) -> Config:
    return config(f"frontends: {{iscsi: {{listen: {list(addresses)}}}}}\n")


def served(given: Config) -> dict[str, Served]:
    return {volume.name: cast("Served", SimpleNamespace(volume=volume)) for volume in given.volumes}


def change(before: str, after: str, *refused: str) -> str:
    was, now = config(before), config(after)
    return describe_change(was, now, (served(was), served(now)), refused)


def volumes(*names: str, size: str = "1 MiB", more: str = "") -> str:
    return "volumes:\n" + "".join(VOLUME.format(name, size) for name in names) + more


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (volumes("a"), volumes("a"), "nothing has changed"),
        (volumes("a", "b"), volumes("a", "c", "d"), "added c, d; removed b"),
        (
            volumes("a"),
            volumes("a").replace("iscsi}", "iscsi, frontend_options: {read_only: true}}"),
            "changed a (frontend_options.read_only)",
        ),
        (
            volumes("a"),
            volumes("a", more="limits: {stop_timeout_s: 5, event_count_max: 500}\n"),
            "limits.stop_timeout_s has changed; limits.event_count_max has changed",
        ),
        (
            volumes("a"),
            volumes("a", more="frontends: {iscsi: {listen: ['127.0.0.1:1']}}\n"),
            "frontends.iscsi.listen has changed",
        ),
        (
            volumes("a"),
            volumes("a", more="plugins: {enable: [engines, iscsi]}\n"),
            "plugins: engines, iscsi",
        ),
    ],
)
def test_a_reload_says_what_it_has_changed(before: str, after: str, said: str) -> None:
    assert change(before, after) == said


def test_what_was_refused_is_named_too() -> None:
    assert change(volumes("a"), volumes("a"), "a") == "refused a"


def test_addresses_that_can_be_had_are_taken() -> None:
    before, after = listening("127.0.0.1:0"), listening("127.0.0.2:0", "127.0.0.3:0")
    kept, refused = keep_ports(before, after, 0)
    assert (kept.frontends, refused) == (after.frontends, {})


def test_an_address_that_another_holds_is_refused_and_the_old_ones_stay() -> None:
    with open_listener("127.0.0.1:0") as listener:
        taken = f"127.0.0.1:{listener.getsockname()[1]}"
        kept, refused = keep_ports(listening("127.0.0.1:0"), listening(taken), 0)
    why = refused["iscsi"]
    assert kept.frontends["iscsi"].listen == ("127.0.0.1:0",)
    assert why.startswith(f"/etc/tierce.yaml:1: frontends.iscsi.listen: {taken} is taken by ")
    assert why.endswith("; it listens at 127.0.0.1:0 still")


def test_an_address_that_can_never_be_had_is_refused() -> None:
    nowhere = "[fe80::1%nowhere]:3260"
    kept, refused = keep_ports(listening("127.0.0.1:0"), listening(nowhere), 0)
    why = refused["iscsi"]
    assert kept.frontends["iscsi"].listen == ("127.0.0.1:0",)
    assert f"can't listen at {nowhere}: the host's name has no address" in why


def test_an_address_that_is_not_there_yet_is_the_portals_to_wait_for() -> None:
    after = listening("203.0.113.1:3260")
    kept, refused = keep_ports(listening("127.0.0.1:0"), after, 0)
    assert (kept.frontends, refused) == (after.frontends, {})


def test_a_port_that_our_own_portal_holds_is_free_for_its_successor() -> None:
    with open_listener("127.0.0.1:0") as listener:
        port = listener.getsockname()[1]
        before, after = listening(f"127.0.0.1:{port}"), listening(f"0.0.0.0:{port}")
        kept, refused = keep_ports(before, after, os.getpid())
        assert (kept.frontends, refused) == (after.frontends, {})
        assert keep_ports(before, after, 0)[1]
