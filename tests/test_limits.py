"""Limits of different packages that depend on each other."""

from __future__ import annotations

from tierce.config.model import Limits
from tierce_iscsi.frontend import CLOSE_TIMEOUT_S
from tierce_jiva.replicator import CLOSE_S_MAX


def test_sessions_and_then_the_replicas_have_closed_before_the_process_is_killed() -> None:
    """One after the other: a volume whose initiator hangs would not be closed clean."""
    assert Limits().stop_timeout_s > CLOSE_TIMEOUT_S + CLOSE_S_MAX
