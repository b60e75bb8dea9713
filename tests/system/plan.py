"""What a soak does: which kinds of damage, in which order, with which choices. A seed repeats it.

TIERCE_SOAK_SEED=N repeats the choices of a run (the kernel's scheduling is not repeated);
TIERCE_SOAK_KINDS=old-copy,swap does nothing else.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence

import attrs


@attrs.frozen
class Round:
    """One round of a soak.

    Attributes:
        number: From 1.
        kind: The kind of damage.
        random: Its choices: the same for one seed and number, whatever earlier rounds chose.
    """

    number: int
    kind: str
    random: random.Random


def chosen_seed() -> int:
    """Return the seed that was asked for, or a new one."""
    return int(os.environ.get("TIERCE_SOAK_SEED") or random.SystemRandom().randrange(1 << 32))


def chosen_kinds(default: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    """Return the kinds of damage that were asked for, or the default."""
    asked = os.environ.get("TIERCE_SOAK_KINDS")
    kinds = asked.split(",") if asked else list(default)
    strange = [kind for kind in kinds if kind not in known]
    if strange:
        raise ValueError(f"TIERCE_SOAK_KINDS: no {strange}; there are {', '.join(known)}")
    return kinds


def rounds(seed: int, kinds: Sequence[str]) -> Iterator[Round]:
    """Return rounds without end; in each stretch as long as there are kinds comes every kind."""
    number = 0
    while True:
        order = list(kinds)
        random.Random(f"{seed}/{number}").shuffle(order)
        for kind in order:
            number += 1
            yield Round(number, kind, random.Random(f"{seed}/{number}/{kind}"))
