"""Text requests of the full feature phase (RFC 7143 sections 11.10 and 11.11).

A request may come in parts (C bit), and so may its answer: each part but the last is asked for by
an empty request that names the transfer tag of the part before.
"""

from __future__ import annotations

from collections.abc import Callable

from tierce import ProtocolError
from tierce_iscsi.pdu import CONTINUE, FINAL, NO_TAG

#: What names an exchange that goes on; there is one at a time.
_TRANSFER_TAG = 1


class TextExchange:
    """The text requests of one session, one after another.

    Args:
        text_bytes_max: All the text of one request.
    """

    def __init__(self, text_bytes_max: int) -> None:
        self._text_bytes_max = text_bytes_max
        self._text = bytearray()
        self._unsent = b""

    def take(
        self,
        flags: int,
        transfer_tag: int,
        data: bytes | memoryview,
        *,
        answer: Callable[[bytes], bytes],
        part_bytes_max: Callable[[], int],
    ) -> tuple[int, int, bytes]:
        """Take a request; return its response's flags, transfer tag and data.

        Args:
            flags: The request's.
            transfer_tag: The request's.
            data: Its text.
            answer: Gives the answer to the whole text.
            part_bytes_max: What the initiator takes in one PDU, asked for after `answer`, which
                may change it.

        Raises:
            ProtocolError: There is too much text.
        """
        if transfer_tag == NO_TAG and len(data):
            # A new exchange: the one before is over, however far it was.
            self._text.clear()
            self._unsent = b""
        if len(self._text) + len(data) > self._text_bytes_max:
            raise ProtocolError(f"more than {self._text_bytes_max} bytes of text")
        self._text += data
        if flags & CONTINUE:
            return 0, _TRANSFER_TAG, b""
        if not self._unsent:
            self._unsent = answer(bytes(self._text))
        self._text.clear()
        length = part_bytes_max()
        part, self._unsent = self._unsent[:length], self._unsent[length:]
        if self._unsent:
            return CONTINUE, _TRANSFER_TAG, part
        if not flags & FINAL:
            # It has more to say, and an end is for it to name.
            return 0, _TRANSFER_TAG, part
        return FINAL, NO_TAG, part
