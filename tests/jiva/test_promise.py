"""What a replica says when it promises, read from what it sends."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.cluster import Cluster
from tierce import ProtocolError
from tierce_jiva.ballot import Ballot, Membership, Order, Start
from tierce_jiva.promise import Promise
from tierce_jiva.regions import Regions

REGIONS = Regions(32 << 20)
MEMBERSHIP = Membership(Ballot(3, 7), 1, ("a", "b"), ("a",))
MESSAGE: dict[str, Any] = {
    "kind": "promise",
    "accepted": MEMBERSHIP.to_json(),
    "bids": [[4, 7], [5, 8]],
    "counts": True,
    "marks": "81",
    "order": [3, 7, 9],
    "settled": [3, 7, 8],
    "suspect": False,
    "doubt": "01",
    "copied": True,
    "began": [3, 9],
    "joined": 5,
}
#: What a replica of an older release says nothing of.
LATER = {"joined"}


def test_a_promise_is_read_as_it_was_sent() -> None:
    assert Promise.from_json(MESSAGE, REGIONS) == Promise(
        MEMBERSHIP,
        (Ballot(4, 7), Ballot(5, 8)),
        counts=True,
        marks=frozenset({0, 7}),
        order=Order(Ballot(3, 7), 9),
        settled=Order(Ballot(3, 7), 8),
        suspect=False,
        doubt=frozenset({0}),
        copied=True,
        began=Start(Ballot(3, 9), 5),
    )


def test_an_older_replica_does_not_say_when_it_joined_and_is_taken_for_the_later_one() -> None:
    lacking = {name: known for name, known in MESSAGE.items() if name not in LATER}
    assert Promise.from_json(lacking, REGIONS).began == Start(Ballot(3, 9))
    assert Start(Ballot(3, 9)) > Start(Ballot(3, 9), 5)


@pytest.mark.parametrize("value", ["zz", -1, 1 << 64, [[]]], ids=str)
def test_a_process_joined_by_a_frame_of_64_bits(value: Any) -> None:
    with pytest.raises(ProtocolError, match="a promise that is none"):
        Promise.from_json(MESSAGE | {"joined": value}, REGIONS)


@pytest.mark.parametrize("field", sorted(MESSAGE.keys() - {"kind"} - LATER))
@pytest.mark.parametrize("value", [None, "zz", 7, [[]]], ids=str)
def test_what_lacks_a_field_or_has_another_in_its_place_is_no_promise(
    field: str, value: Any
) -> None:
    lacking = {name: known for name, known in MESSAGE.items() if name != field}
    with pytest.raises(ProtocolError, match="a promise that is none"):
        Promise.from_json(lacking, REGIONS)
    if field in {"counts", "suspect", "copied"}:
        # Only the word for it is taken for true.
        assert getattr(Promise.from_json(MESSAGE | {field: value}, REGIONS), field) is False
    else:
        with pytest.raises(ProtocolError, match="a promise that is none"):
            Promise.from_json(MESSAGE | {field: value}, REGIONS)


def test_who_has_joined_a_ballot_has_accepted_something_since_or_remembers_it() -> None:
    promise = Promise.from_json(MESSAGE, REGIONS)
    assert promise.has_joined(Ballot(2, 1))
    assert promise.has_joined(Ballot(3, 7))
    assert promise.has_joined(Ballot(5, 8))
    assert not promise.has_joined(Ballot(5, 7))
    assert not promise.has_joined(Ballot(6, 0))


def test_what_a_replica_says_of_itself_can_be_read() -> None:
    cluster = Cluster()
    cluster.run(3)
    for link in cluster.target.links:
        assert link.promise is not None
        assert link.promise.accepted.in_sync == tuple(cluster.nodes)
        assert link.promise.counts
        assert not link.promise.copied
