"""The login phase in the target's process."""

from __future__ import annotations

import pytest

from iscsi.bench import Bench
from iscsi.initiator import LOGIN_KEYS, Answer, keys, login, only, request, text
from tierce_iscsi.login import REQUEST_COUNT_MAX

SECURITY_TO_OPERATIONAL, OPERATIONAL_TO_FULL, SECURITY_TO_FULL = 0x81, 0x87, 0x83


def test_an_operational_login_alone_is_enough(bench: Bench) -> None:
    answer = bench.initiator().login()
    assert answer.login_status == 0
    assert answer.flags == OPERATIONAL_TO_FULL
    assert answer.field(12) & 0xFFFF != 0, "the session has a TSIH"


def test_both_stages_one_after_the_other(bench: Bench) -> None:
    initiator = bench.initiator()
    first = only(
        initiator.start(login(LOGIN_KEYS | {"AuthMethod": "None"}, flags=SECURITY_TO_OPERATIONAL))
    )
    assert first.flags == SECURITY_TO_OPERATIONAL
    assert keys(first.data)["AuthMethod"] == "None"
    assert keys(first.data)["TargetPortalGroupTag"] == "1"
    second = only(initiator.ask(login({"HeaderDigest": "None"}, flags=OPERATIONAL_TO_FULL)))
    assert (second.login_status, second.stat_sn) == (0, first.stat_sn + 1)
    assert keys(second.data)["HeaderDigest"] == "None"


def test_every_key_gets_the_answer_of_its_function(bench: Bench) -> None:
    offers = {
        "HeaderDigest": "CRC32C,None",
        "DataDigest": "None,CRC32C",
        "MaxConnections": "8",
        "InitialR2T": "Yes",
        "ImmediateData": "No",
        "MaxBurstLength": "16776192",
        "FirstBurstLength": "0x400",
        "DefaultTime2Wait": "0",
        "DefaultTime2Retain": "20",
        "MaxOutstandingR2T": "4",
        "ErrorRecoveryLevel": "2",
        "DataPDUInOrder": "No",
        "DataSequenceInOrder": "Yes",
        "IFMarker": "No",
        "X-com.example": "1",
    }
    answer = bench.initiator().login(keys=offers)
    assert keys(answer.data) == {
        "TargetPortalGroupTag": "1",
        "TargetAlias": "demo",
        "MaxRecvDataSegmentLength": "262144",
        "HeaderDigest": "CRC32C",
        "DataDigest": "None",
        "MaxConnections": "1",
        "InitialR2T": "Yes",
        "ImmediateData": "No",
        "MaxBurstLength": "262144",
        "FirstBurstLength": "1024",
        "DefaultTime2Wait": "2",
        "DefaultTime2Retain": "0",
        "MaxOutstandingR2T": "1",
        "ErrorRecoveryLevel": "0",
        "DataPDUInOrder": "Yes",
        "DataSequenceInOrder": "Yes",
        "IFMarker": "No",
        "X-com.example": "NotUnderstood",
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MaxBurstLength", "12"),
        ("InitialR2T", "Perhaps"),
        ("HeaderDigest", "MD5"),
        ("MaxConnections", "x"),
    ],
)
def test_an_offer_outside_of_its_range_is_rejected_and_the_login_goes_on(
    bench: Bench, key: str, value: str
) -> None:
    answer = bench.initiator().login(keys={key: value})
    assert answer.login_status == 0
    assert keys(answer.data)[key] == "Reject"


def test_text_that_comes_in_parts_is_put_together(bench: Bench) -> None:
    initiator = bench.initiator()
    whole = text(LOGIN_KEYS)
    first = only(initiator.start(login(whole[:30], flags=0x44)))
    assert (first.flags & 0xC0, first.data) == (0, b"")
    assert only(initiator.ask(login(whole[30:]))).login_status == 0


def test_an_answer_longer_than_a_segment_goes_out_in_parts(bench: Bench) -> None:
    initiator = bench.initiator()
    odd = text({f"X-{number:058}": "1" for number in range(200)})
    initiator.start(login(text(LOGIN_KEYS) + odd[:7000], flags=0x44))
    found = initiator.ask(login(odd[7000:]))
    data = b""
    while found[0].flags & 0x40:
        data += found[0].data
        found = initiator.ask(login(b"", flags=OPERATIONAL_TO_FULL))
    data += found[0].data
    assert list(keys(data).values()).count("NotUnderstood") == 200
    assert found[0].flags == OPERATIONAL_TO_FULL


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (login(LOGIN_KEYS | {"AuthMethod": "CHAP"}, flags=SECURITY_TO_OPERATIONAL), 0x0201),
        (login({"TargetName": "iqn.x:y"}), 0x0207),
        (login(LOGIN_KEYS, version=1), 0x0205),
        (login(LOGIN_KEYS, flags=0x84 | 2), 0x0200),
        (login(LOGIN_KEYS, flags=0x8F), 0x0200),
        (login(LOGIN_KEYS, tsih=9), 0x020A),
        (login(text(LOGIN_KEYS) * 2), 0x0200),
    ],
    ids=["chap", "no name", "version", "reserved stage", "stage 3", "no such session", "twice"],
)
def test_a_login_that_can_not_be_is_refused_with_its_status(
    bench: Bench, data: bytes, status: int
) -> None:
    initiator = bench.initiator()
    assert only(initiator.start(data)).login_status == status
    assert initiator.is_closed


def test_anything_but_a_login_before_the_login_ends_the_connection(bench: Bench) -> None:
    initiator = bench.initiator()
    assert initiator.start(request(6, 1)) == []
    assert initiator.is_closed


def test_a_login_that_takes_too_long_is_cut_off(bench: Bench) -> None:
    initiator = bench.initiator()
    initiator.start(login(text(LOGIN_KEYS), flags=0x44))
    bench.loop.advance(14)
    assert not initiator.is_closed
    bench.loop.advance(2)
    assert initiator.is_closed


def test_the_security_stage_may_lead_to_the_full_feature_phase(bench: Bench) -> None:
    answer = only(bench.initiator().start(login(LOGIN_KEYS, flags=SECURITY_TO_FULL)))
    assert (answer.login_status, answer.flags) == (0, SECURITY_TO_FULL)


# -- keys that are said twice, or together ---------------------------------------------------------


@pytest.mark.parametrize("names", [("FirstBurstLength", "MaxBurstLength"), ("MaxBurstLength",)])
def test_a_first_burst_is_answered_as_part_of_a_burst_in_whatever_order(
    bench: Bench, names: tuple[str, ...]
) -> None:
    pairs = {key: value for key, value in LOGIN_KEYS.items() if not key.endswith("BurstLength")}
    values = {"MaxBurstLength": "8192", "FirstBurstLength": "65536"}
    offers = {name: values[name] for name in names}
    offers |= {name: value for name, value in values.items() if name not in offers}
    answer = only(bench.initiator().start(login(pairs | offers)))
    assert keys(answer.data)["MaxBurstLength"] == "8192"
    assert keys(answer.data)["FirstBurstLength"] == "8192"


def two_stages(bench: Bench, first: dict[str, str], second: dict[str, str]) -> Answer:
    initiator = bench.initiator()
    initiator.start(login(first, flags=SECURITY_TO_OPERATIONAL))
    answer: Answer = only(initiator.ask(login(second, flags=OPERATIONAL_TO_FULL)))
    return answer


NAMES = {key: LOGIN_KEYS[key] for key in ("InitiatorName", "TargetName", "SessionType")}


def test_names_that_are_repeated_in_the_second_stage_are_heard_once(bench: Bench) -> None:
    answer = two_stages(bench, NAMES, NAMES | {"HeaderDigest": "None"})
    assert answer.login_status == 0
    assert keys(answer.data)["HeaderDigest"] == "None"


def test_another_name_in_the_second_stage_is_a_mistake(bench: Bench) -> None:
    answer = two_stages(bench, NAMES, NAMES | {"InitiatorName": "iqn.2026-11.x:another"})
    assert answer.login_status == 0x0200


def test_how_much_the_initiator_takes_at_once_is_what_it_said_last(bench: Bench) -> None:
    one, two = ({"MaxRecvDataSegmentLength": size} for size in ("8192", "65536"))
    assert two_stages(bench, NAMES | one, two).login_status == 0
    assert bench.sessions()[0].terms.segment_bytes_max == 65536


@pytest.mark.parametrize("key", ["HeaderDigest", "MaxBurstLength", "InitialR2T", "X-vendor"])
def test_a_key_that_was_negotiated_is_not_negotiated_again(bench: Bench, key: str) -> None:
    offer = {key: "None" if key == "HeaderDigest" else "Yes" if key == "InitialR2T" else "4096"}
    assert two_stages(bench, NAMES | offer, offer).login_status == 0x0200


def test_a_login_that_goes_on_naming_keys_is_cut_off(bench: Bench) -> None:
    """Each is remembered, so that it is not negotiated twice."""
    initiator = bench.initiator()
    initiator.start(login(LOGIN_KEYS, flags=0x04))
    statuses = [
        only(initiator.ask(login({f"X-{n}-{i}": "1" for i in range(200)}, flags=0x04))).login_status
        for n in range(2)
    ]
    assert statuses == [0, 0x0200]


def test_a_login_that_never_comes_to_its_point_is_cut_off(bench: Bench) -> None:
    """Each request has its answer; without a bound they would go on for the login's whole time."""
    initiator = bench.initiator()
    initiator.start(login(LOGIN_KEYS, flags=0x04))
    found = initiator.ask(*(login(b"", flags=0x04) for _ in range(REQUEST_COUNT_MAX + 100)))
    assert [answer.login_status for answer in found] == [0] * (REQUEST_COUNT_MAX - 1) + [0x0200]
    assert initiator.is_closed


@pytest.mark.parametrize("key", ["TargetAlias", "TargetAddress", "TargetPortalGroupTag"])
def test_what_is_ours_to_say_is_not_taken_from_an_initiator(bench: Bench, key: str) -> None:
    answer = bench.initiator().login(keys={key: "1"})
    assert answer.login_status == 0
    assert answer.data.count(f"{key}=Reject".encode()) == 1


@pytest.mark.parametrize(
    "data", [b"InitiatorName=\xff\0", b"no equals sign\0", b"K" * 70 + b"=1\0"]
)
def test_text_that_is_none_is_answered_before_the_end(bench: Bench, data: bytes) -> None:
    initiator = bench.initiator()
    assert only(initiator.start(login(data))).login_status == 0x0200
    assert initiator.is_closed
