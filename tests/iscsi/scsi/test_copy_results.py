"""Results of copies: told once, a bounded number of a session's, gone with it."""

from __future__ import annotations

import attrs

from tierce_iscsi.scsi.copy_results import RESULT_COUNT_MAX, Result, Results
from tierce_iscsi.scsi.sense import Sense

GOOD = Result(is_good=True, segment_count=1, byte_count=512)


@attrs.define(eq=False)
class Port:
    """An initiator's session."""

    initiator: bytes = b"one"
    attentions: list[Sense] = attrs.field(factory=list)

    def attend(self, sense: Sense) -> None:
        self.attentions.append(sense)


def test_a_result_is_told_once_and_to_its_session_only() -> None:
    results, one, two = Results(), Port(), Port()
    results.add(one, 7, GOOD)
    assert results.take(two, 7) is None
    assert results.take(one, 7) is GOOD
    assert results.take(one, 7) is None


def test_the_oldest_gives_way() -> None:
    results, port = Results(), Port()
    for list_id in range(RESULT_COUNT_MAX + 1):
        results.add(port, list_id, GOOD)
    assert results.take(port, 0) is None
    assert results.take(port, 1) is GOOD


def test_they_go_with_their_session() -> None:
    results, port = Results(), Port()
    results.add(port, 7, GOOD)
    results.forget(port)
    assert results.take(port, 7) is None
