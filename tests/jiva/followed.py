"""A replicated volume whose I/Os are followed, and a front end that writes them down."""

from __future__ import annotations

from typing import Any

from jiva.cluster import Cluster
from tierce import Op, Request, Tracer
from tierce.tracing import TracedIo
from tierce_jiva.wire import Frame, FrameReader

#: A stage, whose it is, and how long it took in milliseconds.
Shown = tuple[str, str, float]


class Followed(Cluster):
    """A volume that serves, with its marks set.

    Attributes:
        written: What was written down.
        sent: What each replica was sent since `listen`.
    """

    def __init__(self, count: int = 3, **options: Any) -> None:
        super().__init__(count, **options)
        self.written: list[TracedIo] = []
        self.sent: dict[str, list[Frame]] = {}
        self.tracer = Tracer(self.written.append)
        self.start_target()
        self.run(3)
        self.put(0, bytes(4096))
        self.written.clear()

    def ask(self, *requests: Request, is_sampled: bool = False) -> None:
        """As a front end: these arrive, and are looked at when they are answered."""
        batch, began_ns, tracer = list(requests), self.clock_ns(), self.tracer
        if is_sampled:
            tracer.left = -len(batch)
            tracer.sample(batch, began_ns)

        def answered(done: list[Request]) -> None:
            elapsed_ns = self.clock_ns() - began_ns
            if elapsed_ns > tracer.look_ns:
                tracer.answered(done, began_ns, elapsed_ns)

        self.target.submit(self.now, batch, answered)
        done = [request for request in batch if request.status is not None]
        if done:
            answered(done)
        self.carry_out()
        self._listen()

    def _listen(self) -> None:
        for link in self.target.links:
            data = b"".join(map(bytes, link.outgoing))
            reader = FrameReader()
            reader.space()[: len(data)] = data
            self.sent[link.name] = reader.received(len(data))

    def pass_ms(self, milliseconds: float) -> None:
        """Time passes, and nothing is carried."""
        self.now += milliseconds / 1000

    def shown(self) -> list[list[Shown]]:
        """Return the stages of what was written down, and forget it."""
        written, self.written[:] = self.written.copy(), []
        return [
            [(stage, member, round(took / 1e6, 3)) for stage, member, _, took, _ in io.stamps]
            for io in written
        ]


def a_write(offset: int = 0, length: int = 4096) -> Request:
    return Request(Op.WRITE, offset, length, memoryview(bytes(length)))


def a_read(offset: int = 0, length: int = 4096) -> Request:
    return Request(Op.READ, offset, length, memoryview(bytearray(length)))
