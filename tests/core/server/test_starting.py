"""What keeps a server from starting."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tierce import (
    ConfigError,
    ConflictError,
    Export,
    Listens,
    TemporaryError,
    TierceError,
    UsageError,
)
from tierce.config import Config
from tierce.process.listening import open_listener
from tierce.process.plan import Plan, Role
from tierce.process.refusals import RefusedError
from tierce.server.starting import Starting, check_start, try_ports
from tierce.supervision.child import Child

REGISTRY = SimpleNamespace(
    frontends=dict.fromkeys(("iscsi", "unused"), SimpleNamespace(listens=Listens.PORTAL))
)
TAKEN = ConflictError("127.0.0.1:3260 is taken by process 7 (x)")
PRIVILEGED = UsageError("can't listen at 127.0.0.1:80: this user may not")
LATER = TemporaryError("can't listen at 203.0.113.1:3260: it is no address of this machine now")
WRONG = ConfigError("volumes.demo.size: it can't be changed", file="t.yaml", line=4)
LOST = ConflictError("its folders hold a volume already")


def config(*listen: str) -> Config:
    section = SimpleNamespace(listen=listen or ("127.0.0.1:3260", "127.0.0.1:80"))
    volumes = (SimpleNamespace(exports=(Export(frontend="iscsi", options=None),)),)
    return cast(
        "Config", SimpleNamespace(frontends={"iscsi": section}, volumes=volumes, registry=REGISTRY)
    )


def check(
    ports: Mapping[str, Exception] | None = None,
    volumes: Mapping[str, Exception] | None = None,
    *,
    served_count: int = 1,
    is_strict: bool = False,
    given: Config | None = None,
) -> TierceError | None:
    try:
        check_start(
            given or config(),
            {"iscsi": ports} if ports else {},
            volumes or {},
            served_count=served_count,
            is_strict=is_strict,
        )
    except TierceError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("seen", "ends"),
    [
        ({}, None),
        # One address, or one volume, keeps no other from being served.
        ({"ports": {"127.0.0.1:3260": TAKEN}}, None),
        ({"volumes": {"demo": WRONG}}, None),
        # Nothing can be served.
        ({"volumes": {"demo": WRONG}, "served_count": 0}, WRONG),
        ({"ports": {"127.0.0.1:3260": TAKEN}, "given": config("127.0.0.1:3260")}, TAKEN),
        # What is missing only now is waited for.
        ({"ports": {"203.0.113.1:3260": LATER}, "given": config("203.0.113.1:3260")}, None),
        # Whoever is strict wants everything.
        ({"volumes": {"demo": WRONG}, "is_strict": True}, WRONG),
        ({"ports": {"203.0.113.1:3260": LATER}, "is_strict": True}, LATER),
    ],
)
def test_a_server_ends_only_where_nothing_can_be_served(
    seen: dict[str, Any], ends: TierceError | None
) -> None:
    assert check(**seen) is ends


def test_all_that_is_wrong_is_told_in_one_line_with_the_code_of_the_first() -> None:
    error = check(volumes={"demo": WRONG, "other": LOST}, served_count=0)
    assert isinstance(error, RefusedError)
    assert error.exit_code == WRONG.exit_code
    assert str(error) == (
        "this can't be served: volume demo: t.yaml:4: volumes.demo.size: it can't be changed; "
        "volume other: its folders hold a volume already"
    )


def test_every_address_that_can_not_be_had_is_named() -> None:
    both = {"127.0.0.1:3260": TAKEN, "127.0.0.1:80": PRIVILEGED}
    error = check(ports=both)
    assert isinstance(error, RefusedError)
    assert error.exit_code == TAKEN.exit_code
    assert "frontends.iscsi: 127.0.0.1:80: " in str(error)


def test_a_front_end_that_no_volume_uses_keeps_nobody_from_starting() -> None:
    given = config("127.0.0.1:3260")
    cast("Any", given).frontends["unused"] = SimpleNamespace(listen=("127.0.0.1:80",))
    assert try_ports_of(given) is None


def try_ports_of(given: Config) -> TierceError | None:
    try:
        check_start(
            given, {"unused": {"127.0.0.1:80": PRIVILEGED}}, {}, served_count=1, is_strict=False
        )
    except TierceError as error:
        return error
    return None


class Volumes:
    """An inventory to which a file is being applied."""

    def __init__(self, *pending: str) -> None:
        self.pending = frozenset(pending)
        self.served: dict[str, None] = {}
        self.errors: dict[str, Exception] = {}


def starting(volumes: Volumes, *, is_strict: bool = False) -> Starting:
    return Starting(config(), cast("Any", volumes), {}, is_strict=is_strict)


def decided(start: Starting) -> tuple[bool, TierceError | None]:
    start.look()
    return start.is_decided, start.error


def test_it_serves_as_soon_as_one_volume_can_be_served() -> None:
    volumes = Volumes("demo", "other")
    start = starting(volumes)
    assert decided(start) == (False, None)
    volumes.errors["demo"] = LOST
    assert decided(start) == (False, None)
    volumes.served["third"] = None
    assert decided(start) == (True, None)


def test_it_ends_when_nothing_is_under_way_any_more_that_could_be_served() -> None:
    volumes = Volumes("demo")
    volumes.errors["other"] = WRONG
    start = starting(volumes)
    assert decided(start) == (False, None)
    volumes.pending = frozenset()
    assert decided(start) == (True, WRONG)


def test_one_that_is_strict_waits_for_all() -> None:
    volumes = Volumes("demo")
    volumes.served["other"] = None
    start = starting(volumes, is_strict=True)
    assert decided(start) == (False, None)
    volumes.pending = frozenset()
    volumes.errors["demo"] = LOST
    assert decided(start) == (True, LOST)


def child(role: Role, *, is_adopted: bool = False) -> Child:
    return Child(Plan(role.value, role), "", is_adopted=is_adopted)


def test_what_served_before_is_left_alone_until_it_is_known_whether_it_serves() -> None:
    volumes = Volumes("demo")
    start = starting(volumes)
    target, fork_server = child(Role.TARGET, is_adopted=True), child(Role.FORK_SERVER)
    assert not start.concerns(target, is_stopping=False)
    assert start.concerns(fork_server, is_stopping=False)
    volumes.pending, volumes.errors = frozenset(), {"demo": LOST}
    start.look()
    assert not start.concerns(target, is_stopping=True)
    assert start.concerns(fork_server, is_stopping=True)


def test_what_ends_by_itself_is_left_alone_until_the_server_ends() -> None:
    volumes = Volumes()
    volumes.served["demo"] = None
    start = starting(volumes)
    start.look()
    assert start.concerns(child(Role.TARGET), is_stopping=False)
    for role in (Role.WORK, Role.POLICIES):
        assert not start.concerns(child(role), is_stopping=False)
        assert start.concerns(child(role), is_stopping=True)


def test_ports_are_tried_and_let_go() -> None:
    with open_listener("127.0.0.1:0") as listener:
        taken = f"127.0.0.1:{listener.getsockname()[1]}"
        found = try_ports(config(taken, "127.0.0.1:0"))
        assert list(found["iscsi"]) == [taken]
        assert isinstance(found["iscsi"][taken], ConflictError)
    assert try_ports(config(taken)) == {}
    open_listener(taken).close()
