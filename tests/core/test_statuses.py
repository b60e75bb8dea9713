"""What parts publish of themselves: typed where it is written, typed where it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import (
    FrontendStatus,
    MemberStatus,
    PluginErrors,
    Published,
    SessionStatus,
    VolumeStatus,
)
from tierce.statuses import (
    ENGINE,
    MEMBER,
    PLUGIN_ERRORS,
    TEXT_CHARS_MAX,
    as_shown,
    filter_owner,
    from_mappings,
    frontend_owner,
    to_mapping,
)
from tierce.volume.statistics import StatisticsPage

TEXTS = st.text(max_size=20)
DETAILS = st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3)
MEMBERS = st.builds(
    MemberStatus,
    name=TEXTS,
    state=TEXTS,
    progress=st.none() | st.floats(0, 1),
    trouble=TEXTS,
    details=DETAILS,
)
VOLUMES = st.builds(
    VolumeStatus,
    state=TEXTS,
    trouble=TEXTS,
    medium=TEXTS,
    members=st.lists(MEMBERS, max_size=3).map(tuple),
    details=DETAILS,
)
SESSIONS = st.builds(SessionStatus, initiator=TEXTS, address=TEXTS, details=DETAILS)
FRONTENDS = st.builds(
    FrontendStatus,
    sessions=st.none() | st.lists(SESSIONS, max_size=3).map(tuple),
    details=DETAILS,
)


@given(VOLUMES, FRONTENDS, FRONTENDS, MEMBERS)
def test_what_is_published_is_read_as_it_was_written(
    volume: VolumeStatus, first: FrontendStatus, second: FrontendStatus, member: MemberStatus
) -> None:
    shown = {
        ENGINE: to_mapping(volume, VolumeStatus),
        filter_owner("slow"): to_mapping(VolumeStatus(details={"a": 1}), VolumeStatus),
        frontend_owner("one"): to_mapping(first, FrontendStatus),
        frontend_owner("two"): to_mapping(second, FrontendStatus),
        MEMBER: to_mapping(member, MemberStatus),
        PLUGIN_ERRORS: {"filter slow": {"count": 2, "last": "it raised", "at": 1.5}},
    }
    assert from_mappings(shown) == Published(
        volume=volume,
        filters={"slow": VolumeStatus(details={"a": 1})},
        frontends={"one": first, "two": second},
        member=member,
        plugin_errors={"filter slow": PluginErrors(count=2, last="it raised", at=1.5)},
    )


def test_users_read_one_object_with_the_details_beside_the_rest() -> None:
    replica = MemberStatus(name="replica-1", state="down", trouble="gone")
    session = SessionStatus(initiator="iqn.x", address="h:1", details={"tsih": 7})
    shown = {
        ENGINE: to_mapping(VolumeStatus(state="degraded", members=(replica,)), VolumeStatus),
        frontend_owner("iscsi"): to_mapping(FrontendStatus(sessions=(session,)), FrontendStatus),
        frontend_owner("nbd"): to_mapping(FrontendStatus(sessions=()), FrontendStatus),
        filter_owner("pace"): {"details": {"pace": {"delay_s": 1}}},
        PLUGIN_ERRORS: {"filter pace": {"count": 1}},
    }
    assert as_shown(shown) == {
        "state": "degraded",
        "replicas": [{"name": "replica-1", "state": "down", "trouble": "gone"}],
        "sessions": [{"initiator": "iqn.x", "address": "h:1", "tsih": 7}],
        "nbd-sessions": [],
        "pace": {"delay_s": 1},
        "plugin_errors": {"filter pace": {"count": 1}},
    }


def test_more_sessions_than_fit_are_cut_with_a_count_and_the_engine_stays(
    tmp_path: Path,
) -> None:
    page = StatisticsPage.create(tmp_path / "page")
    engine = VolumeStatus(state="serving", members=(MemberStatus(name="a", state="in-sync"),))
    sessions = tuple(
        SessionStatus(initiator="iqn.x:" + "y" * 80, details={"tsih": number})
        for number in range(2000)
    )
    page.publish(ENGINE, to_mapping(engine, VolumeStatus))
    for count in (656, 657, 2000):
        front = FrontendStatus(sessions=sessions[:count])
        page.publish(frontend_owner("iscsi"), to_mapping(front, FrontendStatus))
        shown = page.snapshot()["published"]
        seen = from_mappings(shown)
        assert seen is not None
        assert seen.volume == engine
        kept = seen.frontends["iscsi"].sessions or ()
        assert kept == sessions[: len(kept)]
        assert len(kept) + seen.frontends["iscsi"].left_out == count
    assert 400 < len(kept) < 2000
    assert as_shown(shown)["sessions_left_out"] == 2000 - len(kept)
    page.close()


def test_a_text_is_cut_however_long_a_peer_makes_it() -> None:
    assert len(SessionStatus(initiator="x" * 100_000).initiator) == TEXT_CHARS_MAX


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: VolumeStatus(state=None),  # type: ignore[arg-type]
        lambda: VolumeStatus(members=[]),  # type: ignore[arg-type]
        lambda: VolumeStatus(members=({"name": "a", "state": "b"},)),  # type: ignore[arg-type]
        lambda: MemberStatus(name="a", state="b", progress="half"),  # type: ignore[arg-type]
        lambda: FrontendStatus(sessions=3),  # type: ignore[arg-type]
        lambda: SessionStatus(initiator="a", details="b"),  # type: ignore[arg-type]
        lambda: to_mapping({"state": "serving"}, VolumeStatus),
    ],
)
def test_what_is_of_another_type_is_refused_where_it_is_made(wrong: Any) -> None:
    with pytest.raises(TypeError):
        wrong()


@pytest.mark.parametrize(
    "shown",
    [
        {ENGINE: {"state": 3}},
        {ENGINE: {"members": [{"name": "a"}]}},
        {ENGINE: "no mapping"},
        {"state": "stalled", "replicas": []},
        {frontend_owner("a"): {"sessions": 3}},
        {PLUGIN_ERRORS: {"a": 1}},
    ],
)
def test_what_nobody_of_this_version_wrote_is_not_guessed_at(shown: dict[str, Any]) -> None:
    assert from_mappings(shown) is None
