"""What a soak's seed decides."""

from __future__ import annotations

import os
import random


def chosen_seed() -> int:
    """Return the seed that was asked for, or a new one."""
    return int(os.environ.get("TIERCE_SOAK_SEED") or random.SystemRandom().randrange(1 << 32))
