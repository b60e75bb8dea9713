"""Desired state and the record of what happened, kept in the data folder."""

from tierce.state.lock import Holder, Lock, acquire, find_holder
from tierce.state.records import Owner, Phase, VolumeRecord
from tierce.state.store import StateStore

__all__ = [
    "Holder",
    "Lock",
    "Owner",
    "Phase",
    "StateStore",
    "VolumeRecord",
    "acquire",
    "find_holder",
]
