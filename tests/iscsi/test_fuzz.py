"""Any bytes end at worst one connection, and how they are cut changes nothing.

The longer form is `python tests/iscsi/fuzz_connection.py --help`.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from iscsi.fuzz_connection import mutate, ordered, play, play_pending, random_session
from iscsi.initiator import LOGIN_KEYS, login
from tierce_iscsi.connection_router import IscsiConnectionRouter
from tierce_iscsi.options import IscsiOptions

few = settings(max_examples=60, deadline=None)


@few
@given(seed=st.integers(0, 2**32), cuts=st.integers(0, 2**32))
def test_the_same_bytes_in_any_pieces_give_the_same_answers(seed: int, cuts: int) -> None:
    stream = random_session(seed)
    assert ordered(play(stream, None)) == ordered(play(stream, cuts))


@few
@given(seed=st.integers(0, 2**32), changes=st.integers(0, 2**32))
def test_mutated_bytes_end_at_worst_the_connection(seed: int, changes: int) -> None:
    play(mutate(random_session(seed), changes), changes)


@few
@given(seed=st.integers(0, 2**32), changes=st.integers(0, 2**32))
def test_what_is_pending_completes_in_any_order_and_holds_nothing_after(
    seed: int, changes: int
) -> None:
    play_pending(random_session(seed), changes)
    play_pending(mutate(random_session(seed), changes), changes)


@few
@given(st.binary(max_size=4096))
def test_random_bytes_end_at_worst_the_connection(data: bytes) -> None:
    play(data, None)


@few
@given(st.binary(max_size=600), st.integers(0, 300))
def test_a_connection_router_takes_any_bytes(data: bytes, kept: int) -> None:
    router = IscsiConnectionRouter(IscsiOptions(), ("127.0.0.1", 1), ("127.0.0.1", 2))
    router.receive(login(LOGIN_KEYS)[:kept] + data, {})
