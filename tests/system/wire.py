"""A raw initiator on a real socket: bytes under the test's control."""

from __future__ import annotations

import contextlib
import socket
import struct

from iscsi.initiator import LOGIN_KEYS, Answer, login, nop_out

Address = tuple[str, int]


class Wire:
    """One connection to the portal.

    Args:
        address: The portal.
        target: The volume's IQN.
        initiator: The end of the initiator's name.
        number: Makes its ISID.
        timeout_s: Of each send and each answer.
    """

    def __init__(
        self,
        address: Address,
        target: str,
        *,
        initiator: str = "wire",
        number: int = 0,
        timeout_s: float = 20.0,
    ) -> None:
        self._target = target
        self._initiator = f"iqn.2026-11.io.example:{initiator}"
        self._isid = b"\x80\0" + struct.pack(">I", number)
        self.socket = socket.create_connection(address, timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def login_request(self, **keys: str) -> bytes:
        names = {"InitiatorName": self._initiator, "TargetName": self._target}
        return login(LOGIN_KEYS | names | keys, isid=self._isid)

    def login(self, **keys: str) -> int:
        """Log in; return the status."""
        self.socket.sendall(self.login_request(**keys))
        return self.answer().login_status

    def ping(self) -> None:
        """Send a NOP-Out and wait for its echo."""
        self.socket.sendall(nop_out(1, b"ping", tag=7))
        while True:
            answer = self.answer()
            if answer.opcode == 0x20 and answer.tag == 7:
                assert answer.data == b"ping"
                return

    def answer(self) -> Answer:
        """Wait for a PDU. Raises EOFError if the target has closed the connection."""
        header = self._exactly(48)
        length = int.from_bytes(header[5:8], "big")
        return Answer(header, self._exactly(length + -length % 4)[:length])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            got = self.socket.recv(count - len(data))
            if not got:
                raise EOFError(f"closed after {len(data)} of {count} bytes")
            data += got
        return data
