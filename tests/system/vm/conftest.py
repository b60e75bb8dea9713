"""One virtual machine for all tests of this folder; it is booted when one needs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from serving.server import Server
from system.conftest import refuse
from system.vm.image import ImageError, image
from system.vm.linux import Linux
from system.vm.machine import Machine, MachineError, ScriptError

#: Addresses of the host's loopback that the guest reaches under the same numbers.
HOSTS = ("127.0.1.1", "127.0.1.2")


@attrs.define
class Room:
    """The machine and where it writes; made when it is first asked for."""

    folder: Path
    _machine: Machine | None = None

    def machine(self) -> Machine:
        """Return the machine, running."""
        if self._machine is None:
            try:
                self._machine = Machine(image(), self.folder)
            except ImageError as error:
                refuse(f"the virtual machine's image can't be built: {error}")
        if not self._machine.is_on:
            self._machine.start()
        return self._machine

    def leave(self) -> None:
        if self._machine is not None:
            self._machine.cut_power()


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    made = Room(tmp_path_factory.mktemp("vm"))
    yield made
    made.leave()


@pytest.fixture
def linux(needed: None, room: Room, tmp_path: Path) -> Iterator[Linux]:
    """Linux before a server that has no config yet; its kernel must not complain in the end."""
    server = Server(tmp_path, hosts=HOSTS)
    made = Linux(room.machine(), server)
    made.run("dmesg --clear")
    yield made
    try:
        complaints = made.complaints()
        made.reset()
    except (MachineError, ScriptError):
        # Whatever hangs in there: the next test gets another.
        made.machine.cut_power()
        raise
    finally:
        server.close()
    assert complaints == []
