"""FORMAT UNIT: every block reads as zeroes afterwards (SBC-3 section 5.2).

While it lasts the unit is not ready, for everybody, and says how far it is. It is answered when it
is done and durable: IMMED is not honoured, as an early GOOD would be a promise not yet kept. Who
aborts it, or is gone, stops it where it is; the unit is ready then, and formatted in part.
"""

from __future__ import annotations

from collections.abc import Callable

from tierce import Device, Op, Request
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.command import Reply, check_condition
from tierce_iscsi.scsi.sense import Key, Sense, sense_of

#: LOGICAL UNIT NOT READY, FORMAT IN PROGRESS
_IN_PROGRESS = 0x0404
_PROGRESS_UNITS = 0x10000


class Formatting:
    """A format under way.

    Args:
        device: The top of the volume's pipeline.
        can_discard: Blocks are given back, where the device can; else they are zeroed.
        soon: Calls something when the data thread has looked after everything else.
        ended: Called once, with what the initiator is told.
        is_aborted: True if nobody waits for it any more.

    Attributes:
        done_bytes: How far it is.
    """

    def __init__(
        self,
        device: Device,
        *,
        can_discard: bool,
        soon: Callable[[Callable[[], None]], None],
        ended: Callable[[Reply], None],
        is_aborted: Callable[[], bool],
    ) -> None:
        self._device = device
        self._soon = soon
        self._ended = ended
        self._is_aborted = is_aborted
        self._block_size = device.geometry.block_size
        self._size_bytes = device.geometry.size_bytes // self._block_size * self._block_size
        self._op = Op.DISCARD if can_discard else Op.WRITE_ZEROES
        self.done_bytes = 0

    @property
    def sense(self) -> Sense:
        """What everybody is told meanwhile."""
        progress = self.done_bytes * _PROGRESS_UNITS // self._size_bytes
        return Sense(Key.NOT_READY, _IN_PROGRESS, progress=min(progress, _PROGRESS_UNITS - 1))

    def go_on(self) -> None:
        """Zero the next piece; after the last, flush."""
        if self._is_aborted():
            self._ended(Reply())
            return
        length = min(limits.ZERO_BYTES, self._size_bytes - self.done_bytes)
        request = Request(self._op, self.done_bytes, length) if length else Request(Op.FLUSH)
        self._device.submit([request], self._completed)
        if request.status is not None:
            self._completed([request])

    def _completed(self, requests: list[Request]) -> None:
        (request,) = requests
        status = request.status
        assert status is not None, "complete requests have a status"
        if not status.is_good:
            self._ended(check_condition(sense_of(status, self._block_size)))
        elif request.op is Op.FLUSH:
            self._ended(Reply(length=0))
        else:
            self.done_bytes += request.length
            self._soon(self.go_on)
