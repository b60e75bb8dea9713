"""What a reload does is told before it is done, and is what it then does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from core.in_place import begin_delete, create, foresee
from core.scenes import Scene, note, volume
from tierce import Access, Export
from tierce.config import load_config
from tierce.inventory.deciding import Foreseen, lacking
from tierce.inventory.differing import Change, Situation, compare, differences
from tierce.inventory.planning import plan_all
from tierce.inventory.policy_settings import settle
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.process.wanted_settings import Wanted

MEMORY = {"name": "demo", "size": "1 MiB", "engine": "memory", "frontend": "names"}
SLOW = {**volume(), "filters": [{"name": "slow", "delay_ms": 1}]}
NOTHING: Wanted = {}
NIGHT = {"kind": "watch", "name": "night"}
FOLDER = ("target.demo", "member.demo.one", "member.demo.two")


def situation(
    of: VolumeInventory | Foreseen, made: frozenset[str], wanted: Wanted = NOTHING
) -> Situation:
    policy_set = settle(of.config.policies, of.served, wanted)
    plans = {plan.name: plan for plan in plan_all(of, policy_set)}
    return Situation(of.config, dict(of.served), dict(of.refused), made, plans, policy_set)


def told(changes: list[Change]) -> dict[str, str]:
    return {one.what: one.text for one in changes if one.text != "nothing"}


def edit(
    scene: Scene,
    before: list[Mapping[str, Any]],
    after: list[Mapping[str, Any]],
    running: Mapping[str, str] = {},
    **more: Any,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what is foretold of an edit of the file, and what it then does."""
    scene.write(*before)
    inventory = scene.start()
    was = situation(inventory, inventory.made)
    scene.write(*after, **more)
    config = load_config(scene.file, scene.registry)
    foreseen = foresee(inventory, config, {})
    foretold = compare(was, situation(foreseen, was.made | foreseen.made), running, {})
    assert situation(inventory, inventory.made) == was, "it changed something"
    inventory.apply(config)
    done = compare(was, situation(inventory, inventory.made), running, {})
    return told(foretold), told(done)


@pytest.mark.parametrize(
    ("before", "after", "more", "says"),
    [
        ([volume()], [volume()], {}, {}),
        ([volume()], [volume(rate=7)], {}, {"volume demo": "live: options.rate"}),
        (
            [{**volume(), "labels": {"team": "a"}}],
            [{**volume(), "labels": {"team": "b"}}],
            {},
            {"volume demo": "live: labels.team"},
        ),
        ([volume()], [{**volume(), "labels": {"team": "b"}}], {}, {"volume demo": "live: labels"}),
        (
            [SLOW],
            [{**SLOW, "filters": [{"name": "slow", "delay_ms": 9}]}],
            {},
            {"volume demo": "live: filters[0].delay_ms"},
        ),
        (
            [volume()],
            [volume(tone="high", rate=7)],
            {"limits": {"stop_timeout_s": 2}},
            {
                "volume demo": "restart: options.tone, options.rate; stops target.demo (within "
                "2 s); sessions log in again, I/O waits until then",
                "limits": "live: stop_timeout_s",
            },
        ),
        (
            [volume()],
            [SLOW],
            {},
            {
                "volume demo": "restart: filters; stops target.demo (within 10 s); sessions log in "
                "again, I/O waits until then"
            },
        ),
        ([volume()], [volume(), volume("new")], {}, {"volume new": "made"}),
        (
            [volume(), volume("gone")],
            [volume()],
            {},
            {
                "volume gone": "no longer served; stops member.gone.one, member.gone.two, "
                "target.gone (within 20 s)"
            },
        ),
        (
            [MEMORY],
            [],
            {},
            {
                "volume demo": "no longer served; stops target.demo (within 10 s); lost: "
                "its bytes (engine memory keeps nothing)"
            },
        ),
        (
            [MEMORY],
            [{**MEMORY, "frontend": "live-names"}],
            {},
            {
                "volume demo": "waits: frontend; a restart would empty it: it keeps its settings "
                "until its next start"
            },
        ),
        (
            [MEMORY],
            [{**MEMORY, "filters": [{"name": "slow"}]}],
            {},
            {
                "volume demo": "waits: filters; a restart would empty it: it keeps its settings "
                "until its next start"
            },
        ),
        (
            [volume()],
            [volume()],
            {"frontends": {"names": {"depth": 5}}},
            {
                "volume demo": "restart: frontends.names.depth; stops target.demo (within 10 s); "
                "sessions log in again, I/O waits until then",
                "front end names": "restart: frontends.names.depth; stops portal (within 10 s); "
                "the portal starts anew: sessions go on, new ones wait",
            },
        ),
        (
            [{**volume(), "frontend": "live-names"}],
            [{**volume(), "frontend": "live-names"}],
            {"frontends": {"live-names": {"depth": 5}}},
            {
                "volume demo": "live: frontends.live-names.depth",
                "front end live-names": "live: frontends.live-names.depth",
            },
        ),
        (
            [volume(), {**volume("other"), "frontend": "live-names"}],
            [volume(), {**volume("other"), "frontend": "live-names"}],
            {"frontends": {"live-names": {"depth": 5}, "names": {"depth": 5}}},
            {
                "volume demo": "restart: frontends.names.depth; stops target.demo (within 10 s); "
                "sessions log in again, I/O waits until then",
                "volume other": "live: frontends.live-names.depth",
                "front end live-names": "restart: frontends.live-names.depth; stops portal (within "
                "10 s); the portal starts anew: sessions go on, new ones wait",
                "front end names": "restart: frontends.names.depth; stops portal (within 10 s); "
                "the portal starts anew: sessions go on, new ones wait",
            },
        ),
        (
            [{**volume(), "frontend": "alone"}],
            [{**volume(), "frontend": "alone"}],
            {"frontends": {"alone": {"depth": 5}}},
            {
                "volume demo": "restart: frontends.alone.depth; stops target.demo (within 10 s); "
                "sessions log in again, I/O waits until then",
                "front end alone": "restart: frontends.alone.depth; with the volumes that it "
                "serves",
            },
        ),
        (
            [volume()],
            [volume()],
            {"policies": [{"kind": "watch", "name": "each"}]},
            {"policy each": "made"},
        ),
        (
            [volume()],
            [volume()],
            {"services": {"volume": {}, "node": {}}},
            {"service volume of volume demo": "made", "service node": "made"},
        ),
    ],
)
def test_what_is_foretold_is_what_a_reload_does(
    scene: Scene,
    before: list[Mapping[str, Any]],
    after: list[Mapping[str, Any]],
    more: dict[str, Any],
    says: dict[str, str],
) -> None:
    foretold, done = edit(scene, before, after, **more)
    assert foretold == says
    assert done == says


def test_what_is_refused_says_why_and_that_it_keeps_its_settings(scene: Scene) -> None:
    foretold, done = edit(scene, [volume()], [volume(size="2 MiB")])
    assert foretold == done
    assert foretold["volume demo"].startswith("refused; it keeps the settings that it has: ")
    assert "tierce.yaml:3: volumes.demo.size: it was created with 1 MiB" in foretold["volume demo"]


def test_a_mistake_in_one_volume_is_foretold_as_its_refusal(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    scene.write(volume(tnoe="high"))
    config = load_config(scene.file, scene.registry, is_lenient=True)
    foreseen = foresee(inventory, config, {})
    assert foreseen.served == inventory.served
    assert "unknown option 'tnoe'" in foreseen.refused["demo"]


def test_what_a_volume_needs_and_no_plugin_brings_is_named(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    served = inventory.served["demo"].volume
    assert lacking(inventory.config, served) == ""
    assert lacking(inventory.config, attrs.evolve(served, engine="x")) == "the engine 'x'"
    exports = (*served.exports, Export(frontend="y", options=None, access=Access.RO))
    assert lacking(inventory.config, attrs.evolve(served, exports=exports)) == "the front end 'y'"


def test_what_can_not_be_served_at_all_says_so(scene: Scene) -> None:
    stranger = {**MEMORY, "name": "odd", "engine": "stranger"}
    foretold, done = edit(scene, [volume()], [volume(), stranger])
    assert foretold == done
    assert foretold["volume odd"].startswith("refused; it is not served: ")


def test_a_volume_that_runs_by_older_settings_still_waits(scene: Scene) -> None:
    foretold, done = edit(scene, [MEMORY], [MEMORY], {"target.demo": "older"})
    assert foretold == done
    assert foretold["volume demo"].startswith("waits; a restart would empty it")


def test_a_volume_that_is_being_deleted_is_served_again_when_the_file_names_it(
    scene: Scene,
) -> None:
    scene.write(volume())
    inventory = scene.start()
    scene.reload(inventory)
    begin_delete(inventory, "demo")
    scene.write(volume())
    foreseen = foresee(inventory, load_config(scene.file, scene.registry), {})
    assert (list(foreseen.served), foreseen.made, foreseen.refused) == (["demo"], set(), {})
    assert json.loads(note(scene).read_text())["name"] == "demo"


def test_a_volume_of_the_state_goes_on(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    create(inventory, volume(), base=scene.folder)
    foreseen = foresee(inventory, load_config(scene.file, scene.registry), {})
    assert foreseen.served == inventory.served


def test_front_ends_that_keep_their_addresses_are_refused(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    now = situation(inventory, inventory.made)
    changes = compare(now, now, {}, {"names": "names.listen: it is taken"})
    assert told(changes) == {"front end names": "refused; names.listen: it is taken"}


def test_other_options_of_a_volumes_service_restart_it_and_leave_the_volume_alone(
    scene: Scene,
) -> None:
    scene.write(volume(), services={"volume": {}})
    inventory = scene.start()
    before = situation(inventory, inventory.made)
    scene.reload(inventory, volume(), services={"volume": {"delay_ms": 5}})
    after = situation(inventory, inventory.made)
    stops = "stops service.volume.demo (within 10 s)"
    says = f"restart: options.delay_ms; {stops}; no volume stops with it"
    assert told(compare(before, after, {}, {})) == {"service volume of volume demo": says}
    scene.reload(inventory, services={"volume": {"delay_ms": 5}})
    changes = told(compare(after, situation(inventory, inventory.made), {}, {}))
    assert changes["service volume of volume demo"] == (
        "no longer served; stops service.volume.demo (within 10 s)"
    )
    assert "service" not in changes["volume demo"]


@pytest.mark.parametrize(
    ("rate", "policies", "says"),
    [
        (7, [NIGHT], {"volume demo": "nothing; policy night sets options.rate"}),
        (1, [NIGHT], {"volume demo": "nothing; policy night sets options.rate"}),
        (1, [], {"volume demo": "live: options.rate", "policy night": "no longer served"}),
        (5, [], {"policy night": "no longer served"}),
    ],
)
def test_what_a_policy_sets_is_named_and_has_its_own_value_again_when_the_policy_goes(
    scene: Scene, rate: int, policies: list[Any], says: dict[str, str]
) -> None:
    wanted = {"night": {"demo": {"options": {"rate": 5}}}}
    scene.write(volume(), policies=[NIGHT])
    inventory = scene.start()
    before = situation(inventory, inventory.made, wanted)
    scene.reload(inventory, volume(rate=rate), policies=policies)
    after = situation(inventory, inventory.made, wanted)
    assert told(compare(before, after, {}, {})) == says


def test_differences_are_named_by_their_keys() -> None:
    before = {"a": 1, "b": {"c": [1], "d": 2}, "e": 5, "f": [{"g": 1}, {"g": 2}]}
    after = {"a": 1, "b": {"c": [2], "d": 2}, "h": 6, "f": [{"g": 1}, {"g": 3}]}
    assert list(differences(before, after)) == ["b.c", "e", "f[1].g", "h"]
