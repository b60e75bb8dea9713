"""The login phase in the target's process."""

from __future__ import annotations

import pytest

from iscsi.bench import Bench
from iscsi.initiator import LOGIN_KEYS, keys, login, only, request, text

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
    bench.loop.wait(14)
    assert not initiator.is_closed
    bench.loop.wait(2)
    assert initiator.is_closed


def test_the_security_stage_may_lead_to_the_full_feature_phase(bench: Bench) -> None:
    answer = only(bench.initiator().start(login(LOGIN_KEYS, flags=SECURITY_TO_FULL)))
    assert (answer.login_status, answer.flags) == (0, SECURITY_TO_FULL)
