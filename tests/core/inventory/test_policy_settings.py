"""What policies set of volumes, and what they can't: from what is wanted alone."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from core.scenes import Scene, volume
from tierce import option
from tierce.config import volume_to_mapping
from tierce.inventory.planning import plan_all
from tierce.inventory.policy_settings import PolicySet, Setting, settle
from tierce.process.wanted_settings import Wanted

SLOW = {**volume(rate=3), "filters": [{"name": "slow", "delay_ms": 1}]}
BOTH = [{"kind": "watch", "name": name} for name in ("night", "day")]


def settled(scene: Scene, policies: list[dict[str, Any]] = BOTH, **wanted: Any) -> PolicySet:
    """What documents get that want this of the volume demo."""
    scene.write(SLOW, policies=policies)
    inventory = scene.start()
    of_demo = {name: {"demo": parts} for name, parts in wanted.items()}
    return settle(inventory.config.policies, inventory.served, of_demo)


def why(found: PolicySet) -> list[str]:
    assert all(one.volume == "demo" for one in found.refused)
    return [f"{one.policy}: {one.why}" for one in found.refused]


def test_a_live_option_is_set_in_the_targets_plan_without_a_restart(scene: Scene) -> None:
    found = settled(scene, night={"filters[0]": {"delay_ms": 9}, "options": {"rate": 4}})
    assert found.settings["demo"] == {
        "filters[0].delay_ms": Setting("night", 9, 1),
        "options.rate": Setting("night", 4, 3),
    }
    inventory = scene.start()
    before, after = (
        next(plan for plan in plan_all(inventory, one) if plan.name == "target.demo")
        for one in (PolicySet(), found)
    )
    assert after.digest == before.digest
    assert after.live["filters[0]"]["values"] == {"delay_ms": 9}
    assert after.live["options"]["values"] == {"rate": 4}
    # What the volume itself says stays what it says.
    served = inventory.served["demo"].volume
    assert volume_to_mapping(served)["filters"] == [{"name": "slow", "delay_ms": 1}]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"options": {"tone": "high"}},
            "options.tone: it is not live: it takes a restart, which a policy can't ask for",
        ),
        ({"options": {"rtae": 5}}, "options.rtae: it has no such option; the nearest is 'rate'"),
        (
            {"filters[1]": {"delay_ms": 5}},
            "filters[1]: it has no such part; it has options, filters[0], frontend_options",
        ),
        (
            {"options": {"rate": "fast"}},
            "options: rate: expected a whole number, got the text 'fast'",
        ),
    ],
)
def test_what_can_not_be_set_is_refused_by_name_and_the_rest_is_set(
    scene: Scene, parts: dict[str, Any], said: str
) -> None:
    found = settled(scene, night={"filters[0]": {"delay_ms": 9}, **parts})
    assert why(found) == [f"night: {said}"]
    assert list(found.settings["demo"]) == ["filters[0].delay_ms"]


def test_a_secret_is_not_set_though_it_is_live(scene: Scene) -> None:
    scene.write({**volume(), "filters": [{"name": "keyed"}]}, policies=BOTH)
    inventory = scene.start()
    wanted = {"night": {"demo": {"filters[0]": {"key": "hush"}}}}
    found = settle(inventory.config.policies, inventory.served, wanted)
    assert why(found) == ["night: filters[0].key: it is a secret, which a policy can't keep"]
    assert found.volumes == {}


def test_of_two_policies_the_first_by_name_has_its_value(scene: Scene) -> None:
    found = settled(
        scene,
        night={"options": {"rate": 4}, "filters[0]": {"delay_ms": 9}},
        day={"options": {"rate": 5}},
    )
    assert found.settings["demo"]["options.rate"] == Setting("day", 5, 3)
    assert found.settings["demo"]["filters[0].delay_ms"].policy == "night"
    assert why(found) == ["night: options.rate: policy day sets it to 5 and is first by name"]
    said = ["policy day sets options.rate", "policy night sets filters[0].delay_ms"]
    assert found.said_of("demo").split("; ") == said


def test_two_policies_may_want_the_same(scene: Scene) -> None:
    found = settled(scene, night={"options": {"rate": 5}}, day={"options": {"rate": 5}})
    assert (found.refused, found.settings["demo"]["options.rate"].policy) == ((), "day")


def test_two_policies_may_want_the_same_in_the_same_words(scene: Scene) -> None:
    @attrs.frozen
    class Sized:
        burst: int = option(doc="How much at once.", default=4096, unit="bytes", live=True)

    settled(scene)
    inventory = scene.start()
    served = inventory.served["demo"]
    sized = attrs.evolve(served, volume=attrs.evolve(served.volume, engine_options=Sized()))
    same: Wanted = {name: {"demo": {"options": {"burst": "64 KiB"}}} for name in ("day", "night")}
    found = settle(inventory.config.policies, {"demo": sized}, same)
    assert found.refused == ()
    assert found.settings["demo"] == {"options.burst": Setting("day", 65536, 4096)}


def test_a_document_that_is_gone_or_selects_other_volumes_sets_nothing(scene: Scene) -> None:
    other = {"kind": "watch", "name": "day", "selector": {"volumes": ["other"]}}
    assert settled(
        scene, [other], night={"options": {"rate": 4}}, day={"options": {"rate": 5}}
    ) == (PolicySet())
    assert PolicySet().said_of("demo") == ""


def test_a_part_is_named_as_the_file_names_it_where_exports_are_a_list(scene: Scene) -> None:
    exports = [{"frontend": "names"}, {"frontend": "alone", "access": "ro"}]
    mapping = {key: one for key, one in SLOW.items() if key != "frontend"}
    scene.write({**mapping, "exports": exports}, policies=BOTH)
    inventory = scene.start()
    wanted = {"night": {"demo": {"frontend_options": {"x": 1}, "options": {"rate": 4}}}}
    found = settle(inventory.config.policies, inventory.served, wanted)
    parts = "options, filters[0], exports[0].options, exports[1].options"
    assert why(found) == [f"night: frontend_options: it has no such part; it has {parts}"]
    assert found.volumes["demo"].engine_options.rate == 4
