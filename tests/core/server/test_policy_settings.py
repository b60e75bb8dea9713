"""What policies set, by a supervisor whose processes are not there and a stranger's policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.served import Served
from serving.strangers import lay_out
from serving.volumes import memory
from tierce.process.wanted_settings import write_wanted

PACED = {**memory(), "filters": [{"name": "pace", "delay_s": 1}]}
CURFEW = {"kind": "curfew", "name": "night", "parameters": {"delay_s": 2}}
DAY = {**CURFEW, "name": "day"}


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(("pace", "curfew"), tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def want(served: Served, **delays: float) -> None:
    """What the process of the policies does: note what documents want, and say so."""
    wanted = {
        name: {"demo": {"filters[0]": {"delay_s": delay_s}}} for name, delay_s in delays.items()
    }
    write_wanted(served.paths.policy_settings, wanted)
    assert served.ask("policy-settings") == [{"ok": {}}]


def told_delays(served: Served) -> list[Any]:
    """The delays that the target has been told by now, in order."""
    heard = [one for one in served.machine.program("target.demo").heard if "live" in one]
    return [one["live"]["filters[0]"]["values"]["delay_s"] for one in heard]


def shown(served: Served) -> dict[str, Any]:
    (answer,) = served.ask("show", name="demo")
    return dict(answer["ok"])


def serve(served: Served, script: Callable[[], None], *policies: Any, **more: Any) -> None:
    served.write({**PACED, **more}, policies=policies or [CURFEW])
    served.serve(script)


def test_what_a_policy_sets_reaches_the_running_target_and_goes_back_when_it_asks_no_more(
    served: Served,
) -> None:
    def play() -> None:
        pid = served.child("target.demo").pid
        want(served, night=2.0)
        want(served, night=2.0)
        assert told_delays(served) == [2.0]
        show = shown(served)
        assert show["settings"]["filters"] == [{"name": "pace", "delay_s": 2.0, "label": "pace"}]
        origin = show["origins"]["filters[0].delay_s"]
        assert origin.startswith("policy night; without it 1.0, from ")
        want(served)
        assert told_delays(served) == [2.0, 1.0]
        assert served.child("target.demo").pid == pid
        assert shown(served)["origins"]["filters[0].delay_s"].endswith("tierce.yaml:1")
        # Told once a change.
        assert served.told("policy.set") == [
            "volume demo: policy night sets filters[0].delay_s to 2.0; without it, it is 1.0"
        ]
        assert served.told("policy.unset") == [
            "volume demo: policy night does not set filters[0].delay_s any more: its own value is "
            "back"
        ]

    serve(served, play)


def test_it_holds_over_restarts_of_the_target_and_of_the_server(served: Served) -> None:
    def first() -> None:
        want(served, night=2.0)
        served.machine.program("target.demo").end()
        served.reactor.turn()
        served.reactor.advance(0.125)
        plan = served.machine.program("target.demo").plan
        assert plan.live["filters[0]"]["values"] == {"delay_s": 2.0}
        served.vanish()

    def second() -> None:
        # The target goes on as it was: it is told nothing else in between.
        assert set(told_delays(served)) == {2.0}
        assert served.told("policy.set") != []
        count = len(served.told("policy.set"))
        want(served, night=2.0)
        assert len(served.told("policy.set")) == count

    serve(served, first)
    serve(served, second)


def test_it_is_undone_when_the_document_goes_and_does_not_come_back_with_one_of_its_name(
    served: Served,
) -> None:
    def play() -> None:
        want(served, night=2.0)
        for policies in ([], [CURFEW]):
            served.write(PACED, policies=policies)
            served.supervisor.reload()
            served.reactor.turn()
            assert told_delays(served) == [2.0, 1.0]

    serve(served, play)


def test_the_files_value_waits_while_a_policy_sets_another_one(served: Served) -> None:
    def play() -> None:
        want(served, night=2.0)
        served.write({**PACED, "filters": [{"name": "pace", "delay_s": 3}]}, policies=[CURFEW])
        rows = [one["row"] for one in served.ask("diff", file=str(served.file)) if "row" in one]
        texts = {row["what"]: row["text"] for row in rows}
        assert texts["volume demo"] == "nothing; policy night sets filters[0].delay_s"
        served.supervisor.reload()
        served.reactor.turn()
        assert told_delays(served) == [2.0]
        want(served)
        assert told_delays(served) == [2.0, 3.0]

    serve(served, play)


def test_of_two_policies_the_first_by_name_wins_and_the_second_is_told_once(
    served: Served,
) -> None:
    def play() -> None:
        want(served, night=2.0, day=4.0)
        want(served, night=2.0, day=4.0)
        assert told_delays(served) == [4.0]
        assert served.told("policy.setting-refused") == [
            "policy night can't set all that it wants of volume demo: filters[0].delay_s: policy "
            "day sets it to 4.0 and is first by name (handler curfew of plugin 'curfew' (package "
            "tierce-curfew))"
        ]
        # With the first gone it is the second's turn.
        want(served, night=2.0)
        assert told_delays(served) == [4.0, 2.0]

    serve(served, play, CURFEW, DAY)


def test_what_former_documents_set_goes_with_the_last_one(served: Served) -> None:
    served.paths.policy_settings.write_text(json.dumps({"night": {"demo": {}}}))
    served.write(PACED)
    served.serve(lambda: None)
    assert not served.paths.policy_settings.exists()
