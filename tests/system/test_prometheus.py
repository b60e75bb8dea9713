"""A real Prometheus reads the exporter of a real server."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from exporters.rules import FILE as RULES
from exporters.rules import metrics_in, rules
from serving.processes import free_port, wait_until
from serving.server import Server
from serving.volumes import jiva
from system.conftest import refuse
from system.prometheus import (
    ACCEPTS,
    PROGRAMS,
    Asking,
    Prometheus,
    UnpackError,
    promtool,
    unpacked,
)
from system.test_slow import LATE_NS, oldest_ns
from tierce.process.paths import Paths
from tierce.volume.trace_ring import TraceRing
from tierce_exporters.dashboards.pages import DASHBOARDS

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi", *PROGRAMS)]

RULES_TEST = Path(__file__).with_name("prometheus_rules.yaml")
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "prometheus.md"
BLOCK = b"counted!" * 64
JOBS = ("protobuf", *ACCEPTS)
WRITES = 'tierce_volume_operation_duration_seconds{volume="demo",operation="write"}'


@attrs.frozen
class Scene:
    """A server whose exporter Prometheus reads in three formats, as three jobs."""

    server: Server
    exporter: str
    prometheus: Prometheus

    def write(self, count: int) -> None:
        session = self.server.session("demo")
        for index in range(count):
            session.write_now(index * 512, BLOCK)
        session.close()

    def is_seen(self, bytes_written: int) -> None:
        """Wait until each job has these bytes."""
        for job in JOBS:
            shown = f'tierce_volume_bytes_total{{job="{job}",operation="write"}}'
            wait_until(
                lambda shown=shown: self.prometheus.value(shown) == bytes_written,  # type: ignore[misc]
                f"{shown} is {bytes_written}",
            )


@pytest.fixture(autouse=True)
def programs() -> None:
    """Have Prometheus and promtool, or say why not."""
    try:
        unpacked()
    except UnpackError as error:
        refuse(str(error))


@pytest.fixture
def scene(server: Server, tmp_path: Path) -> Iterator[Scene]:
    found = tmp_path / "found.json"
    # The same after a restart.
    listen = [f"127.0.0.1:{free_port()}"]
    options = {"listen": listen, "discovery_file": str(found), "legacy": True}
    server.configure(jiva("demo", "16 MiB"), services={"prometheus": options})
    server.run("demo")
    wait_until(found.exists, "the exporter listens")
    (exporter,) = json.loads(found.read_text())[0]["targets"]
    with Asking(exporter) as asking:
        jobs: list[dict[str, Any]] = [
            {"job_name": "protobuf", "file_sd_configs": [{"files": [str(found)]}]}
        ]
        jobs += [
            {
                "job_name": name,
                "metrics_path": f"/{name}",
                "static_configs": [{"targets": [asking.address]}],
            }
            for name in ACCEPTS
        ]
        with Prometheus(tmp_path / "prometheus", jobs, [RULES]) as prometheus:
            yield Scene(server, exporter, prometheus)
    server.stop()


def test_each_format_is_read_and_no_counter_falls_when_its_target_is_killed(scene: Scene) -> None:
    scene.write(8)
    scene.is_seen(8 * 512)
    scene.server.kill(["target.demo"])
    scene.write(4)
    scene.is_seen(12 * 512)
    assert scene.prometheus.query("resets(tierce_volume_bytes_total[1h]) > 0") == []
    starts = 'tierce_process_starts_total{process="target.demo"} >= 2'
    assert {one["metric"]["job"] for one in scene.prometheus.query(starts)} == set(JOBS)
    assert [one["value"][1] for one in scene.prometheus.query("up")] == ["1"] * len(JOBS)


def test_histograms_are_native_in_protobuf_and_have_the_same_classic_bounds_in_text(
    scene: Scene,
) -> None:
    scene.write(8)
    scene.is_seen(8 * 512)
    assert scene.prometheus.value(f"histogram_count({WRITES})") == 8
    took = scene.prometheus.value(f"histogram_quantile(0.5, {WRITES})")
    assert took is not None
    assert 0 < took < 60
    classic = WRITES.replace("seconds{", "seconds_bucket{").replace("}", ',le="16.0"}')
    found = {one["metric"]["job"]: one["value"][1] for one in scene.prometheus.query(classic)}
    assert found == dict.fromkeys(ACCEPTS, "8")


def test_no_counter_falls_over_a_stop_in_order(scene: Scene) -> None:
    scene.write(8)
    scene.is_seen(8 * 512)
    scene.server.stop()
    scene.server.run("demo")
    scene.write(4)
    scene.is_seen(12 * 512)
    assert scene.prometheus.query("resets(tierce_volume_bytes_total[1h]) > 0") == []


def test_a_slow_write_is_an_exemplar_by_the_id_of_its_record(scene: Scene) -> None:
    session = scene.server.session("demo")
    session.write_now(0, BLOCK)
    statuses: list[int] = []
    with scene.server.stopped(["member.demo.replica-2"]):
        session.write(0, BLOCK, statuses.append)
        session.serve(0)
        wait_until(lambda: oldest_ns(scene.server, "device") > LATE_NS, "the write is late")
    session.complete()
    session.close()
    assert statuses == [0]
    ring = TraceRing.open(Paths(scene.server.data).traces("demo"))
    records = [ring.read(number) or {} for number in range(ring.next_number)]
    ring.close()
    slow = {one["trace_id"] for one in records if one["is_slow"] and one["operation"] == "write"}
    native = "tierce_volume_operation_duration_seconds"
    for job, metric in (("openmetrics", f"{native}_bucket"), ("protobuf", native)):
        wait_until(
            lambda job=job, metric=metric: scene.prometheus.exemplars(metric, job) & slow,  # type: ignore[misc]
            f"{job} has an exemplar",
        )


def test_promtool_has_nothing_to_say_of_the_names(scene: Scene) -> None:
    scene.write(1)
    scene.is_seen(512)
    with urllib.request.urlopen(f"http://{scene.exporter}/metrics") as answer:
        families = re.split(r"^(?=# HELP )", answer.read().decode(), flags=re.MULTILINE)
    ours = "".join(one for one in families if one.startswith("# HELP tierce_"))
    checked = promtool("check", "metrics", given=ours)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_what_the_how_to_asks_is_answered(scene: Scene) -> None:
    scene.write(8)
    scene.is_seen(8 * 512)
    rows = re.findall(r"^\| ([^|]+?) \| `([^`]+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) >= 8
    # Nothing is wrong here: these are asked for what is.
    quiet = {"volumes that are not healthy", "replicas that are not in sync"}
    quiet |= {"targets and replicas that were started anew", "slow operations a second"}
    quiet |= {"where the oldest operation waits"}
    assert quiet <= {question for question, _expression in rows}
    for question, expression in rows:
        if question in quiet:
            scene.prometheus.query(expression)
        else:
            wait_until(
                lambda asked=expression: scene.prometheus.query(asked),  # type: ignore[misc]
                f"{expression} has an answer",
            )


#: What nothing is made to happen of: a rebuild that takes its time, a disk that fails.
QUIET = {
    "tierce_replica_rebuild_progress_ratio",
    "tierce_replica_rebuild_remaining_bytes",
    "tierce_replica_errors_total",
}
#: What is there only while something waits.
WAITING = {"tierce_stage_oldest_in_flight_seconds"}
#: And what only once something has waited.
SLOW = {"tierce_volume_slow_operations_total"}


def test_every_expression_of_every_dashboard_is_answered_while_something_happens(
    scene: Scene,
) -> None:
    scene.write(8)
    scene.is_seen(8 * 512)
    scene.server.kill(["member.demo.replica-1"])
    session = scene.server.session("demo")
    for index in range(8):
        # Twice, with a scrape between: what was there when Prometheus first looked has no rate.
        session.write_now(index * 512, BLOCK)
        session.read_now(index * 512, 512)
        session.flush_now()
    wait_until(scene.server.is_whole, "the replica is back")
    scene.is_seen(16 * 512)
    asked = {
        # Of classic histograms, and of native ones.
        filled_in(part): panel.title
        for dashboard in DASHBOARDS
        for _row, panels in dashboard.rows
        for panel in panels
        for query in panel.queries
        for part in query.expression.split("\nor\n")
    }
    quiet = {one for one in asked if set(metrics_in(one)) & QUIET}
    waiting = {one for one in asked if set(metrics_in(one)) & WAITING}
    slow = {one for one in asked if set(metrics_in(one)) & SLOW}
    assert waiting
    assert slow
    for one in asked.keys() - waiting - slow - quiet:
        is_answered(scene, one, asked[one])
    statuses: list[int] = []
    with scene.server.stopped(["member.demo.replica-2", "member.demo.replica-3"]):
        session.write(0, BLOCK, statuses.append)
        session.serve(0)
        for one in waiting:
            is_answered(scene, one, asked[one])
    session.complete()
    session.close()
    assert statuses == [0]
    for one in slow:
        is_answered(scene, one, asked[one])
    for one in quiet:
        # It is one that Prometheus understands.
        scene.prometheus.query(one)


def is_answered(scene: Scene, expression: str, title: str) -> None:
    wait_until(lambda: scene.prometheus.query(expression), f"{title}: {expression} has an answer")


def filled_in(expression: str) -> str:
    """An expression as Grafana asks it."""
    chosen = {"volume": "demo", "replica": ".*", "operation": "write"}
    chosen |= {"__rate_interval": "1m", "__range": "1h"}
    return re.sub(r"\$(\w+)", lambda match: chosen[match[1]], expression)


def test_prometheus_takes_the_rules_and_has_something_to_record(scene: Scene) -> None:
    for count in (8, 16):
        # Twice: what was there when Prometheus first looked has no rate.
        scene.write(8)
        scene.is_seen(count * 512)
    wait_until(lambda: set(health(scene)) == {"ok"}, "every rule was evaluated")
    for rule in rules():
        if "record" in rule:
            # Of classic histograms, and of native ones.
            for part in re.split(r"\nor\n", rule["expr"]):
                wait_until(
                    lambda asked=part: scene.prometheus.query(asked),  # type: ignore[misc]
                    f"{part} has an answer",
                )


def health(scene: Scene) -> list[str]:
    """How each rule is, as Prometheus sees it."""
    groups = scene.prometheus.get("/api/v1/rules")["groups"]
    found = [rule["health"] for group in groups for rule in group["rules"]]
    assert len(found) == len(rules())
    assert "err" not in found, groups
    return found


def test_promtool_has_nothing_to_say_of_the_rules() -> None:
    checked = promtool("check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stderr


def test_each_alert_comes_when_it_should_and_not_before(tmp_path: Path) -> None:
    text = RULES_TEST.read_text()
    tried = {
        one["alertname"]
        for group in yaml.safe_load(text)["tests"]
        for one in group["alert_rule_test"]
        if one["exp_alerts"]
    }
    assert tried == {rule["alert"] for rule in rules() if "alert" in rule}
    (tmp_path / "rules.yaml").write_text(text.replace("RULES", str(RULES), 1))
    tested = promtool("test", "rules", str(tmp_path / "rules.yaml"))
    assert tested.returncode == 0, tested.stdout + tested.stderr
