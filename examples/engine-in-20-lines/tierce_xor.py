"""A Tierce engine: memory that keeps its bytes scrambled with 0x5A."""

from tierce import EngineDescription, OpenContext, hookimpl

SCRAMBLE = bytes(byte ^ 0x5A for byte in range(256))


class XorDevice:
    """Keeps one volume."""

    def __init__(self, context: OpenContext) -> None:
        self.kept = bytearray(b"\x5a") * context.volume.size_bytes

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes at `offset`."""
        buffer[:] = self.kept[offset : offset + len(buffer)].translate(SCRAMBLE)

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`."""
        self.kept[offset : offset + len(data)] = bytes(data).translate(SCRAMBLE)


@hookimpl
def tierce_engines() -> list[EngineDescription]:
    """Name the engine."""
    where = "tierce_xor:XorDevice"
    return [EngineDescription(name="xor", summary="Xor.", factory=where, durable=False, contract=2)]
