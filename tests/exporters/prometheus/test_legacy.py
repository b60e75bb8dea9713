"""The names of OpenEBS's exporters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporters.seen import START_NS, volume
from tierce import Health, VolumeStatistics
from tierce_exporters.prometheus.carrying import Carrier
from tierce_exporters.prometheus.collecting import carry_all
from tierce_exporters.prometheus.legacy import NO_MEANING, TABLE, legacy_families
from tierce_exporters.prometheus.text import to_openmetrics

NOW = START_NS / 1e9 + 60
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


def values(one: VolumeStatistics) -> dict[str, Any]:
    """Every sample: name without prefix -> labels that aren't empty -> value."""
    found = legacy_families(carry_all({one.name: one}, Carrier()), NOW)
    return {
        family.metric.name.removeprefix("openebs_"): {
            tuple(
                f"{name}={value}"
                for name, value in zip(family.metric.labels, sample.labels, strict=True)
                if value
            ): sample.value
            for sample in family.samples
        }
        for family in found
    }


DB = ("openebs_pv=db", "openebs_pvc=db")


def test_a_volume_is_counted_as_openebs_counts_in_nanoseconds_and_bytes() -> None:
    found = values(volume())
    assert found["writes"] == {DB: 3}
    assert found["write_time"] == {DB: 2_000_000_000}
    assert found["write_block_count"] == {DB: 1024}
    assert found["reads"] == {DB: 0}
    assert found["volume_uptime"] == {(*DB, "volName=db"): 60}
    assert found["iscsi_initiator_login_status"] == {DB: 1}


@pytest.mark.parametrize(
    ("health", "status"),
    [("healthy", 3), ("degraded", 2), ("down", 1), ("unknown", 4), ("", 4)],
)
def test_a_volumes_state_is_a_number(health: str, status: int) -> None:
    assert values(volume(health=health))["volume_status"] == {DB: status}


def test_every_state_of_a_volume_has_its_number() -> None:
    known = {one.value for one in Health} - {Health.UNKNOWN.value}
    assert all(values(volume(health=word))["volume_status"][DB] in {1, 2, 3} for word in known)


def test_replicas_are_counted_by_how_they_are() -> None:
    found = values(volume())
    counts = ("healthy_replica_count", "degraded_replica_count", "total_replica_count")
    assert [found[name][DB] for name in counts] == [1, 2, 3]
    first, second, third = (("vol=db", f"pool=replica-{index}") for index in (1, 2, 3))
    assert found["replica_status"] == {first: 1, second: 3, third: 2}
    assert found["rebuild_status"] == {first: 1, second: 3, third: 1}
    assert found["total_write_count"] == {first: 5, second: 0, third: 0}


def test_a_name_that_is_a_volumes_and_a_replicas_has_both_apart_by_their_labels() -> None:
    found = values(volume())["total_write_bytes"]
    assert found[DB] == 1024
    assert found["vol=db", "pool=replica-1"] == 2560


def test_a_volume_without_a_target_has_a_state_and_no_numbers() -> None:
    found = values(VolumeStatistics("db", "down", None, {}))
    assert found["volume_status"] == {DB: 1}
    assert "writes" not in found


def test_every_name_of_the_table_is_filled_and_what_has_no_meaning_is_zero() -> None:
    found = values(volume())
    assert found.keys() == TABLE.keys()
    zeroes = {name for name, metric in TABLE.items() if metric.source == NO_MEANING}
    assert all(set(found[name].values()) == {0} for name in zeroes)
    assert found["pool_status"] == {(): 6}


def test_every_name_is_on_the_page() -> None:
    text = PAGE.read_text()
    assert all(f"`{metric.name}`" in text for metric in TABLE.values())


def test_openmetrics_takes_gauges_with_names_of_counters() -> None:
    text = b"".join(to_openmetrics(legacy_families(carry_all({}, Carrier()), NOW)))
    assert b"# TYPE openebs_zpool_list_parse_error_count gauge\n" in text
    assert text.endswith(b'openebs_pool_status{pool=""} 6\n# EOF\n')
