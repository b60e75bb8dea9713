"""Desired state and the record of what happened, kept in the data folder.

The store itself lies in `tierce.state.store`, apart from this door: it imports lmdb, which data
processes, who need locks, do without.
"""

from tierce.state.lock import Holder, Lock, acquire, find_holder
from tierce.state.records import Owner, Phase, VolumeRecord

__all__ = ["Holder", "Lock", "Owner", "Phase", "VolumeRecord", "acquire", "find_holder"]
