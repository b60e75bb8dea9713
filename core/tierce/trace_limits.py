"""Which I/Os of a volume are to be written down one by one."""

from __future__ import annotations

import attrs

from tierce.block.operation import Op, Request

#: Longer than anything takes, and beyond any byte.
NEVER = 1 << 62
#: What takes longer is slow.
SLOW_NS = 50_000_000
#: One in so many is sampled.
SAMPLE_EVERY = 1000


@attrs.frozen
class TraceLimits:
    """Who is to be followed.

    Attributes:
        every: One in so many is sampled, of those below; 0 for none.
        slow_ns: What takes longer is slow.
        op: Only this operation is sampled; None for all.
        initiator: Only what this one asks for is, by the name that a front end gives; empty for
            all.
        first: Only what reaches a byte from here on is...
        end: ...and before this one.
    """

    every: int = SAMPLE_EVERY
    slow_ns: int = SLOW_NS
    op: Op | None = None
    initiator: str = ""
    first: int = 0
    end: int = NEVER

    @property
    def has_filter(self) -> bool:
        """True if not all are asked for."""
        return self.op is not None or bool(self.initiator) or self.first > 0 or self.end < NEVER

    def fits(self, request: Request) -> bool:
        """True if a request is one of them, whoever asks for it."""
        return (
            self.op in {None, request.op}
            and request.offset < self.end
            and max(request.offset + request.length - 1, request.offset) >= self.first
        )
