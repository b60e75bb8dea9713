"""The portal's side: discovery, refusals, handovers."""

from __future__ import annotations

import pytest

from iscsi import initiator
from iscsi.initiator import (
    LOGIN_KEYS,
    NAME,
    TARGET,
    Answer,
    keys,
    login,
    nop_out,
    request,
    text,
)
from tierce import Handover, Hangup, Route, Send
from tierce_iscsi.connection_router import Handed, IscsiConnectionRouter
from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions

DISCOVERY = {"InitiatorName": NAME, "SessionType": "Discovery"}
ROUTES = {"demo": Route("demo", IscsiVolumeOptions())}


def router(advertise: str | None = None) -> IscsiConnectionRouter:
    return IscsiConnectionRouter(
        IscsiOptions(advertise=advertise), ("127.0.0.1", 3260), ("127.0.0.1", 40000)
    )


def sent(wishes: list[Send | Handover | Hangup]) -> list[Answer]:
    return initiator.answers(b"".join(w.data for w in wishes if isinstance(w, Send)))


def discover(made: IscsiConnectionRouter, what: str, routes: dict[str, Route]) -> bytes:
    """Return the whole text that a SendTargets is answered with."""
    sent(made.receive(login(DISCOVERY), routes))
    data = b""
    [answer] = sent(made.receive(request(4, 1, text({"SendTargets": what})), routes))
    while answer.flags & 0x40:
        data += answer.data
        again = request(4, 1, transfer_tag=answer.transfer_tag)
        [answer] = sent(made.receive(again, routes))
    return data + answer.data


def test_discovery_names_the_address_that_the_initiator_used() -> None:
    assert keys(discover(router(), "All", ROUTES)) == {
        "TargetName": TARGET,
        "TargetAddress": "127.0.0.1:3260,1",
    }


def test_discovery_names_the_advertised_portal_where_there_is_one() -> None:
    found = keys(discover(router("storage.example:3260"), "All", ROUTES))
    assert found["TargetAddress"] == "storage.example:3260,1"


def test_discovery_of_one_name_and_of_another() -> None:
    assert keys(discover(router(), TARGET, ROUTES))["TargetName"] == TARGET
    assert discover(router(), "iqn.x:other", ROUTES) == b""


def test_more_targets_than_one_answer_holds_are_named_in_parts() -> None:
    routes = {f"v{i}": Route(f"v{i}", IscsiVolumeOptions()) for i in range(300)}
    found = discover(router(), "All", routes)
    assert found.count(b"TargetName=") == 300


def test_discovery_hides_what_the_initiator_may_not_use() -> None:
    routes = ROUTES | {"other": Route("other", IscsiVolumeOptions(initiators=("iqn.x:y",)))}
    assert discover(router(), "All", routes).count(b"TargetName=") == 1


def test_a_discovery_session_answers_pings_and_logs_out() -> None:
    made = router()
    made.receive(login(DISCOVERY), ROUTES)
    [ping] = sent(made.receive(nop_out(1, b"echo"), ROUTES))
    assert (ping.opcode, ping.data) == (0x20, b"echo")
    wishes = made.receive(request(6, 1), ROUTES)
    assert sent(wishes)[0].opcode == 0x26
    assert wishes[-1] == Hangup("logout")


def test_a_normal_login_goes_to_its_target_with_what_was_read() -> None:
    data = login(LOGIN_KEYS)
    [wish] = router().receive(data, ROUTES)
    assert isinstance(wish, Handover)
    assert wish.volume == "demo"
    assert Handed.decode(wish.state) == Handed(0, b"", data)


def test_a_login_in_parts_is_handed_over_with_the_parts_that_were_answered() -> None:
    made = router()
    whole = text(LOGIN_KEYS)
    first = made.receive(login(whole[:50], flags=0x44), ROUTES)
    assert len(sent(first)) == 1
    last = login(whole[50:])
    [wish] = made.receive(last, ROUTES)
    assert isinstance(wish, Handover)
    assert Handed.decode(wish.state) == Handed(1, whole[:50], last)


def test_bytes_may_come_one_at_a_time() -> None:
    made = router()
    wishes = [wish for byte in login(LOGIN_KEYS) for wish in made.receive(bytes([byte]), ROUTES)]
    assert [type(wish) for wish in wishes] == [Handover]


@pytest.mark.parametrize(
    ("pairs", "routes", "status"),
    [
        (LOGIN_KEYS, {}, 0x0203),
        ({"InitiatorName": NAME}, ROUTES, 0x0207),
        ({"TargetName": TARGET}, ROUTES, 0x0207),
        (LOGIN_KEYS, {"demo": Route("demo", IscsiVolumeOptions(), is_up=False)}, 0x0301),
        (LOGIN_KEYS, {"demo": Route("demo", IscsiVolumeOptions(initiators=("iqn.a:b",)))}, 0x0202),
    ],
    ids=["no such target", "no target", "no initiator", "down", "not allowed"],
)
def test_a_target_that_can_not_be_used_is_refused(
    pairs: dict[str, str], routes: dict[str, Route], status: int
) -> None:
    wishes = router().receive(login(pairs), routes)
    assert sent(wishes)[0].login_status == status
    assert isinstance(wishes[-1], Hangup)


def test_what_is_not_a_login_is_hung_up_on() -> None:
    [wish] = router().receive(b"GET / HTTP/1.1\r\n" + b"x" * 48, ROUTES)
    assert isinstance(wish, Hangup)


#: As iscsiadm 2.1.8 sends them, which gives up on Irrelevant.
ISCSIADM = {
    "HeaderDigest": "None",
    "DataDigest": "None",
    "DefaultTime2Wait": "2",
    "DefaultTime2Retain": "0",
    "IFMarker": "No",
    "OFMarker": "No",
    "ErrorRecoveryLevel": "0",
    "MaxRecvDataSegmentLength": "32768",
}


@pytest.mark.parametrize("is_first", [True, False], ids=["one text", "second stage"])
def test_discovery_is_answered_what_a_session_needs_and_tasks_are_irrelevant(
    *, is_first: bool
) -> None:
    made = router()
    of_tasks = {"MaxConnections": "1", "MaxOutstandingR2T": "1", "InitialR2T": "No"}
    # The kind of session may stand behind what depends on it.
    offers = ISCSIADM | of_tasks
    if is_first:
        [answer] = sent(made.receive(login(offers | DISCOVERY), ROUTES))
    else:
        made.receive(login(DISCOVERY, flags=0x81), ROUTES)
        [answer] = sent(made.receive(login(offers), ROUTES))
    found = keys(answer.data)
    assert {key: found[key] for key in ISCSIADM if key in found} == {
        **dict.fromkeys(("HeaderDigest", "DataDigest"), "None"),
        "DefaultTime2Wait": "2",
        "DefaultTime2Retain": "0",
        "ErrorRecoveryLevel": "0",
        "IFMarker": "Irrelevant",
        "OFMarker": "Irrelevant",
        "MaxRecvDataSegmentLength": "262144",
    }
    assert {found[key] for key in of_tasks} == {"Irrelevant"}


def test_a_discovery_session_may_say_anew_how_much_it_takes_at_once() -> None:
    made = router()
    routes = {f"v{i}": Route(f"v{i}", IscsiVolumeOptions()) for i in range(50)}
    made.receive(login(DISCOVERY), routes)
    both = text({"MaxRecvDataSegmentLength": "512", "SendTargets": "All"})
    [answer] = sent(made.receive(request(4, 1, both), routes))
    assert len(answer.data) == 512
    assert b"MaxRecvDataSegmentLength" not in answer.data


def test_a_discovery_session_has_no_target_of_its_own() -> None:
    assert discover(router(), "", ROUTES) == b"SendTargets=Reject\0"


@pytest.mark.parametrize(
    ("local", "named"),
    [
        (("::1", 3260), "[::1]:3260,1"),
        (("::ffff:10.1.2.3", 3260), "10.1.2.3:3260,1"),
        (("fe80::1%eth0", 3260), "[fe80::1]:3260,1"),
    ],
)
def test_the_address_is_named_as_an_initiator_can_use_it(
    local: tuple[str, int], named: str
) -> None:
    made = IscsiConnectionRouter(
        IscsiOptions(listen=("0.0.0.0:3260",)), local, ("127.0.0.1", 40000)
    )
    assert keys(discover(made, "All", ROUTES))["TargetAddress"] == named


@pytest.mark.parametrize("data", [{"SessionType": "Odd"}, {"InitiatorName": "x y"}])
def test_names_that_can_not_be_are_refused_in_so_many_words(data: dict[str, str]) -> None:
    wishes = router().receive(login(LOGIN_KEYS | data), ROUTES)
    assert sent(wishes)[0].login_status == 0x0200
    assert isinstance(wishes[-1], Hangup)


def test_an_initiator_whose_target_can_not_take_it_is_told_to_try_again() -> None:
    made = router()
    [wish] = made.receive(login(LOGIN_KEYS), ROUTES)
    assert isinstance(wish, Handover)
    [answer] = initiator.answers(made.handover_failed())
    assert answer.login_status == 0x0301
