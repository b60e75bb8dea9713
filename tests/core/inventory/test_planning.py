"""Which processes should run for what is to be served."""

from __future__ import annotations

from typing import Any

from core.scenes import Scene, volume
from tierce.inventory.planning import enabled_plugins, plan_all, policy_documents
from tierce.process.plan import FORK_SERVER, Plan, Role


def plans(scene: Scene) -> dict[str, Plan]:
    return {plan.name: plan for plan in plan_all(scene.start())}


def test_what_others_need_comes_first(scene: Scene) -> None:
    scene.write(volume("demo"), volume("other"))
    members = ["member.demo.one", "member.demo.two", "target.demo"]
    others = [name.replace("demo", "other") for name in members]
    assert list(plans(scene)) == [FORK_SERVER, "portal", *members, *others]


def test_a_fenced_volume_has_its_members_and_no_target(scene: Scene) -> None:
    scene.write(volume("demo"))
    inventory = scene.start()
    inventory.fence("demo", "ballot 9")
    scene.store.put_volume(inventory.find("demo"))
    assert set(plans(scene)) == {FORK_SERVER, "portal", "member.demo.one", "member.demo.two"}


def test_a_service_of_the_node_or_of_control_is_one_process(scene: Scene) -> None:
    scene.write(volume("demo"), services={"node": {}, "control": {"delay_ms": 5}})
    found = plans(scene)
    assert (found["service.node"].role, found["service.node"].volume) == (Role.SERVICE, "")
    assert found["service.control"].settings == {
        "service": "control",
        "options": {"delay_ms": 5},
    }


def test_a_service_of_volumes_has_a_process_for_each_that_is_selected(scene: Scene) -> None:
    def running(**section: Any) -> set[tuple[str, str]]:
        scene.write(volume("demo"), volume("other"), services={"volume": section})
        found = plans(scene).values()
        return {(plan.name, plan.volume) for plan in found if plan.role is Role.SERVICE}

    demo, other = (("service.volume." + name, name) for name in ("demo", "other"))
    assert running() == {demo, other}
    assert running(selector={"volumes": ["other"]}) == {other}


def test_a_service_of_a_volume_that_is_fenced_does_not_run(scene: Scene) -> None:
    scene.write(volume("demo"), services={"volume": {}})
    inventory = scene.start()
    inventory.fence("demo", "ballot 9")
    scene.store.put_volume(inventory.find("demo"))
    assert "service.volume.demo" not in plans(scene)


def test_a_live_option_is_told_and_any_other_is_a_new_plan(scene: Scene) -> None:
    scene.write(volume("demo", rate=1))
    before = plans(scene)["target.demo"]
    scene.write(volume("demo", rate=2))
    live = plans(scene)["target.demo"]
    assert live.digest == before.digest
    assert live.live != before.live
    scene.write(volume("demo", tone="high"))
    assert plans(scene)["target.demo"].digest != before.digest


def test_what_would_be_lost_by_a_restart_is_said(scene: Scene) -> None:
    memory = {"name": "gone", "size": "1 MiB", "engine": "memory", "frontend": "names"}
    scene.write(volume("demo"), memory)
    found = plans(scene)
    assert (found["target.demo"].is_volatile, found["target.gone"].is_volatile) == (False, True)


def test_a_member_knows_its_volume_and_its_place(scene: Scene) -> None:
    scene.write(volume("demo"))
    member = plans(scene)["member.demo.one"]
    assert (member.role, member.volume) == (Role.MEMBER, "demo")
    assert member.settings["size_bytes"] == 1 << 20
    assert member.settings["member"]["folder"] == str(scene.folder / "demo-folder")


def test_policies_are_given_the_volumes_that_they_name_or_all_without_secrets(
    scene: Scene,
) -> None:
    policies = [
        {"kind": "watch", "name": "all"},
        {"kind": "watch", "name": "one", "selector": {"volumes": ["other"]}},
    ]
    scene.write(volume("demo", word="hidden"), volume("other"), policies=policies)
    everything, one = policy_documents(scene.start())
    assert set(everything["volumes"]) == {"demo", "other"}
    assert set(one["volumes"]) == {"other"}
    assert everything["volumes"]["demo"]["options"]["word"] == "***"


def test_the_plugins_of_the_fork_server_are_those_in_use(scene: Scene) -> None:
    scene.write()
    assert enabled_plugins(scene.registry) == ("tests",)
    assert plans(scene)[FORK_SERVER].settings["plugins"] == ["tests"]


def test_a_volume_needs_its_members_a_target_and_what_all_share(scene: Scene) -> None:
    scene.write(volume())
    plans = list(plan_all(scene.start()))
    assert [(plan.name, plan.role) for plan in plans] == [
        ("template", Role.FORK_SERVER),
        ("portal", Role.PORTAL),
        ("member.demo.one", Role.MEMBER),
        ("member.demo.two", Role.MEMBER),
        ("target.demo", Role.TARGET),
    ]


def test_a_changed_option_changes_the_plan_of_the_target_only(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    before = {plan.name: plan.digest for plan in plan_all(inventory)}
    scene.reload(inventory, volume(tone="high"))
    after = {plan.name: plan.digest for plan in plan_all(inventory)}
    assert {name for name in before if before[name] != after[name]} == {"target.demo"}


def test_an_edited_section_of_a_front_end_restarts_only_who_can_not_take_it_while_it_runs(
    scene: Scene,
) -> None:
    fixed, live = volume("fixed"), {**volume("live"), "frontend": "live-names"}
    scene.write(fixed, live)
    inventory = scene.start()
    before = {plan.name: plan for plan in plan_all(inventory)}
    section = {"listen": ["127.0.0.1:9"], "depth": 5}
    scene.reload(inventory, fixed, live, frontends={"names": section, "live-names": section})
    after = {plan.name: plan for plan in plan_all(inventory)}
    changed = {name for name in before if before[name].digest != after[name].digest}
    assert changed == {"target.fixed", "portal"}
    sections = [found["target.live"].live["frontends.live-names"] for found in (before, after)]
    assert [one["values"]["depth"] for one in sections] == [1, 5]


def test_a_live_option_changes_what_the_target_is_told_and_restarts_nobody(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    before = {plan.name: plan for plan in plan_all(inventory)}
    scene.reload(inventory, volume(rate=7))
    after = {plan.name: plan for plan in plan_all(inventory)}
    assert {name for name in before if before[name].digest != after[name].digest} == set()
    told = [found["target.demo"].live["options"] for found in (before, after)]
    assert told == [{"of": "folder", "values": {"rate": rate}} for rate in (1, 7)]


def test_a_live_option_does_not_wait_where_a_restart_would_empty_the_volume(scene: Scene) -> None:
    memory = {"name": "demo", "size": "1 MiB", "engine": "memory", "frontend": "names"}
    scene.write({**memory, "filters": [{"name": "slow"}]})
    inventory = scene.start()
    scene.reload(inventory, {**memory, "filters": [{"name": "slow", "delay_ms": 5}]})
    assert scene.codes() == ["volume.created"]


def test_a_volume_of_memory_keeps_its_settings_until_it_is_started_anew_and_that_is_told(
    scene: Scene,
) -> None:
    memory = {"name": "demo", "size": "1 MiB", "engine": "memory", "frontend": "names"}
    scene.write(memory)
    inventory = scene.start()
    (target,) = [plan for plan in plan_all(inventory) if plan.role is Role.TARGET]
    assert target.is_volatile
    scene.reload(inventory, memory)
    assert scene.codes() == ["volume.created"]
    scene.reload(inventory, {**memory, "frontend": "live-names"})
    assert scene.codes() == ["volume.settings-wait"]
