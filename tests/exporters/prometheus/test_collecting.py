"""From what services see to samples."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from exporters.seen import START_NS, filled, member, operation, process, record, target, volume
from tierce import Event, RecordedEvent, VolumeStatistics
from tierce_exporters.forward.reporting import Reporter
from tierce_exporters.prometheus.carrying import Carrier
from tierce_exporters.prometheus.collecting import (
    EVENT_CODE_COUNT_MAX,
    Exporter,
    carry_all,
    families,
)
from tierce_exporters.prometheus.metric import Histogram
from tierce_exporters.prometheus.table import METRICS, REPLICA_STATES, VOLUME_STATES


def exporter() -> Exporter:
    return Exporter("prometheus", 7.0, lost_traces={"overwritten": 0})


def values(*volumes: VolumeStatistics, carrier: Carrier | None = None) -> dict[str, Any]:
    """Every sample: name -> labels -> value."""
    carried = carry_all({one.name: one for one in volumes}, carrier or Carrier())
    return {
        family.metric.name: {one.labels: one.value for one in family.samples}
        for family in families(carried, exporter())
    }


def test_what_initiators_asked_for_is_the_root_stage() -> None:
    found = values(volume())
    took = found["tierce_volume_operation_duration_seconds"]["db", "write"]
    assert took == Histogram(filled({16: 1, 17: 1, 31: 1}), 2.0)
    assert found["tierce_volume_bytes_total"] == {("db", "write"): 1024}
    assert found["tierce_volume_slow_operations_total"] == {("db", "write"): 1}
    sizes = found["tierce_volume_operation_size_bytes"]
    assert sizes == {("db", "write"): Histogram(filled({9: 2}), 1024)}


def test_what_failed_is_told_by_code_and_what_may_come_is_there_before() -> None:
    found = values(volume())["tierce_volume_errors_total"]
    assert found == {
        ("db", "write", "write_error"): 0,
        ("db", "write", "no_space"): 1,
    }
    without = process("target.db", {"volume": {"read": operation({1: 1}, failed=1)}})
    found = values(attrs.evolve(volume(), target=without))["tierce_volume_errors_total"]
    assert found == {("db", "read", "read_error"): 0, ("db", "read", "other"): 1}


def test_a_volume_says_which_it_is_and_how_large() -> None:
    found = values(volume())
    assert found["tierce_volume_info"] == {("db", "ab" * 16, "jiva", "iscsi,nbd"): 1}
    assert found["tierce_volume_size_bytes"] == {("db",): 1 << 30}
    assert found["tierce_volume_used_bytes"] == {("db",): 4096}
    assert found["tierce_replica_used_bytes"] == {("db", "replica-1"): 4096}
    # Without a server nobody knows.
    found = values(attrs.evolve(volume(), engine="", frontends=(), size_bytes=0))
    assert not found.keys() & {"tierce_volume_info", "tierce_volume_size_bytes"}
    assert "tierce_replica_rebuild_remaining_bytes" not in found


def test_the_last_of_each_bucket_that_was_written_down_is_its_exemplar() -> None:
    one = exporter()
    one.exemplars.add([record(elapsed_ns=60_000_000), record("log"), record(operation="read")])
    carried = carry_all({"db": volume()}, Carrier())
    (took,) = (
        each
        for each in families(carried, one)
        if each.metric.name == "tierce_volume_operation_duration_seconds"
    )
    ((labels, value),) = [(sample.labels, sample.value) for sample in took.samples]
    assert labels == ("db", "write")
    assert isinstance(value, Histogram)
    assert {bucket: one.value for bucket, one in value.exemplars.items()} == {26: 0.06}


def test_a_process_shows_what_it_uses_while_its_number_is_known() -> None:
    found = values(volume())
    assert found["tierce_process_resident_memory_bytes"]["target.db",] > 1 << 20
    assert found["tierce_process_cpu_seconds_total"]["target.db",] > 0
    assert ("member.db.replica-1",) not in found["tierce_process_cpu_seconds_total"]


def test_what_is_under_way_is_shown_with_the_age_of_the_oldest() -> None:
    found = values(volume())
    assert found["tierce_volume_in_flight"] == {("db",): 2}
    assert found["tierce_volume_oldest_in_flight_seconds"] == {("db",): 12.5}
    oldest = found["tierce_stage_oldest_in_flight_seconds"]
    assert oldest == {("db", "filter.slow"): 12.5, ("db", "device"): 12.25}
    idle = values(attrs.evolve(volume(), target=target(parked={})))
    assert idle["tierce_volume_in_flight"] == {("db",): 0}
    assert idle["tierce_volume_oldest_in_flight_seconds"] == {("db",): 0}
    assert "tierce_stage_oldest_in_flight_seconds" not in idle


def test_the_stages_below_and_the_replicas_own_are_shown_apart() -> None:
    found = values(volume())
    stages = {labels[1] for labels in found["tierce_stage_duration_seconds"]}
    assert stages == {"filter.slow", "device"}
    labels = ("db", "replica-1", "replica.apply", "write")
    assert found["tierce_replica_stage_duration_seconds"][labels].buckets[10] == 5
    assert found["tierce_replica_bytes_total"] == {labels: 2560}
    assert "tierce_replica_errors_total" not in found, "none has failed"


def test_the_answers_of_replicas_are_counted_as_their_target_sees_them() -> None:
    found = values(volume())
    trips = found["tierce_replica_round_trip_seconds"]
    assert trips["db", "replica-2", "write"].buckets[22] == 2
    assert {labels[1:] for labels in trips} == {
        ("replica-1", "write"),
        ("replica-1", "flush"),
        ("replica-2", "write"),
    }
    last = found["tierce_replica_last_answers_total"]
    assert last == {("db", "replica-1"): 1, ("db", "replica-2"): 1}


def test_a_state_is_one_for_its_word_and_zero_for_the_others() -> None:
    states = values(volume())["tierce_volume_state"]
    assert {state for (_name, state), value in states.items() if value} == {"degraded"}
    assert {state for _name, state in states} == set(VOLUME_STATES)
    assert "tierce_volume_state" not in values(volume(health=""))


def test_a_replicas_state_that_nobody_knows_counts_as_another() -> None:
    states = values(volume())["tierce_replica_state"]
    assert [key[1:] for key, value in states.items() if value] == [
        ("replica-1", "in-sync"),
        ("replica-2", "rebuilding"),
        ("replica-3", "other"),
    ]
    assert len(states) == 3 * len(REPLICA_STATES) - 2, "`other` is there where it holds"


def test_a_rebuild_shows_its_progress_only_while_there_is_one() -> None:
    found = values(volume())
    assert found["tierce_replica_rebuild_progress_ratio"] == {("db", "replica-2"): 0.25}
    assert found["tierce_replica_rebuild_remaining_bytes"] == {("db", "replica-2"): 3 << 28}


def test_sessions_are_counted_with_those_that_did_not_fit() -> None:
    assert values(volume())["tierce_volume_sessions"] == {("db",): 3}


def test_mistakes_of_plugins_are_counted_by_part() -> None:
    assert values(volume())["tierce_volume_plugin_errors_total"] == {("db", "filter slow"): 3}


def test_a_process_shows_whether_it_is_up_unless_nobody_knows() -> None:
    up = values(volume())["tierce_process_up"]
    assert up == {("target.db",): 1, ("member.db.replica-1",): 1}
    for state, shown in (("down", {("target.db",): 0}), ("unknown", None)):
        one = VolumeStatistics("db", "", target(state=state), {})
        assert values(one).get("tierce_process_up") == shown


def test_a_target_that_was_started_anew_counts_on_by_itself_but_for_its_plugins_mistakes() -> None:
    carrier = Carrier()
    before = values(volume(), carrier=carrier)
    anew = target(started_ns=START_NS + 1, starts=2)
    after = values(attrs.evolve(volume(), target=anew), carrier=carrier)
    name = "tierce_volume_bytes_total"
    assert after[name] == before[name]
    assert after["tierce_process_starts_total"]["target.db",] == 2
    assert after["tierce_process_start_time_seconds"]["target.db",] == (START_NS + 1) / 1e9
    assert after["tierce_volume_plugin_errors_total"] == {("db", "filter slow"): 6}


def test_starts_that_are_counted_anew_say_since_when() -> None:
    carrier = Carrier()
    values(volume(), carrier=carrier)
    later_ns = START_NS + 60 * 10**9
    anew = attrs.evolve(volume(), target=target(start_ns=later_ns), members={})
    found = families(carry_all({"db": anew}, carrier), Exporter("prometheus", 0.0))
    (starts,) = (one for one in found if one.metric.name == "tierce_process_starts_total")
    assert [(one.value, one.created_s) for one in starts.samples] == [(1, later_ns / 1e9)]


def test_counters_that_begin_at_zero_while_the_target_was_away_go_on_where_they_were() -> None:
    carrier = Carrier()
    values(volume(), carrier=carrier)
    values(attrs.evolve(volume(), members={}), carrier=carrier)
    values(VolumeStatistics("db", "down", None, {}), carrier=carrier)
    back = VolumeStatistics("db", "healthy", target(start_ns=START_NS + 1), {"replica-1": member()})
    found = values(back, carrier=carrier)
    assert found["tierce_volume_bytes_total"] == {("db", "write"): 2 * 1024}
    sizes = found["tierce_volume_operation_size_bytes"]["db", "write"]
    assert sizes == Histogram(filled({9: 4}), 2 * 1024)


def test_a_volume_that_is_gone_is_forgotten() -> None:
    carrier = Carrier()
    values(volume(), carrier=carrier)
    values(carrier=carrier)
    anew = attrs.evolve(volume(), target=target(start_ns=START_NS + 1))
    assert values(anew, carrier=carrier)["tierce_volume_bytes_total"] == {("db", "write"): 1024}


def recorded(sequence: int, code: str) -> RecordedEvent:
    return RecordedEvent(sequence, 1.0, Event(code, "told", "volume/db", "warning"))


def test_events_are_counted_by_code_and_plugins_codes_only_up_to_a_bound() -> None:
    one = exporter()
    one.events.add([recorded(1, "volume.health"), recorded(2, "volume.health")])
    assert one.events.counts == {("volume.health", "warning"): 2}
    one.events.add(recorded(index, f"strange.{index}") for index in range(EVENT_CODE_COUNT_MAX))
    assert len(one.events.counts) == EVENT_CODE_COUNT_MAX + 1
    assert one.events.counts["other", "info"] == 1
    found = {each.metric.name: each.samples for each in families({}, one)}
    sample = found["tierce_events_total"][0]
    assert (sample.labels, sample.value) == (("volume.health", "warning"), 2)
    assert sample.created_s == 7.0


def test_what_other_exporters_drop_is_added_up_from_their_events() -> None:
    one, other = exporter(), Reporter("forward", "a peer")
    drops = [other.look(now, "", {"records": count}) for now, count in ((0, 3), (1, 5), (99, 5))]
    fields = {"exporter": "otlp", "dropped": {"records": 7}}
    otlp = Event("exporter.dropping", "told", "service/otlp", fields=fields)
    told = [otlp, *(event for events in drops for event in events)]
    one.events.add(RecordedEvent(number, 1.0, event) for number, event in enumerate(told))
    found = {each.metric.name: each.samples for each in families({}, one)}
    shown = {each.labels: each.value for each in found["tierce_exporter_dropped_total"]}
    assert shown["forward", "records"] == 5
    assert shown["otlp", "records"] == 7
    assert shown["prometheus", "events"] == 0


def test_what_an_exporter_drops_itself_is_not_added_from_its_own_events() -> None:
    one = Exporter("otlp", 7.0, {"records": 9})
    fields = {"exporter": "otlp", "dropped": {"records": 7}}
    one.events.add([RecordedEvent(1, 1.0, Event("exporter.dropping", "told", "x", fields=fields))])
    found = {each.metric.name: each.samples for each in families({}, one)}
    shown = [(each.labels, each.value) for each in found["tierce_exporter_dropped_total"]]
    assert shown == [(("otlp", "records"), 9)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"exporter": "mine", "dropped": 7},
        {"exporter": 7, "dropped": {"records": 7}},
        {"exporter": "mine", "dropped": {"records": "many"}},
        {"exporter": "mine", "dropped": {"records": -1}},
    ],
)
def test_a_plugin_s_event_of_drops_without_numbers_is_counted_and_adds_nothing(
    fields: dict[str, Any],
) -> None:
    one = exporter()
    one.events.add([RecordedEvent(1, 1.0, Event("exporter.dropping", "told", "x", fields=fields))])
    assert one.events.counts == {("exporter.dropping", "info"): 1}
    assert one.events.dropped == {}


def test_everything_of_the_table_is_filled_from_what_services_see() -> None:
    one = exporter()
    one.events.add([recorded(1, "volume.health")])
    broken = member(stages={"replica.sync": {"flush": operation({10: 1}, 512, failed=1)}})
    seen = attrs.evolve(volume(), members={"replica-1": broken})
    found = families(carry_all({"db": seen}, Carrier()), one)
    assert [each.metric for each in found] == list(METRICS)
    for each in found:
        assert all(len(sample.labels) == len(each.metric.labels) for sample in each.samples)
