"""The process that does works: calls of engines' lifecycles, one after the other.

Each is called on the main thread, which is this process's loop: while a work is under way the
process answers nothing, and its supervisor, who knows, tells what takes long. It is there for the
supervisor that started it alone. Without work it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tierce.node.carrying_out import carry_out
from tierce.process.messages import Command, Message, close_all, encode
from tierce.process.process_loop import Process, log_story
from tierce.process.works import Work, failure_values
from tierce.reactor import Timer
from tierce.registry import Registry

#: Who gives works gives the next one at once, or ends the process: where nothing comes for so long
#: there is nobody any more.
IDLE_S = 10.0


def start_working(process: Process, registry: Registry) -> WorkingProcess:
    """Wait for works."""
    return WorkingProcess(process, registry)


class WorkingProcess:
    """What does works in this process.

    Args:
        process: The process.
        registry: The plugins.
    """

    def __init__(self, process: Process, registry: Registry) -> None:
        self.commands: Mapping[str, Command] = {"work": self._work}
        self._process = process
        self._registry = registry
        self._idle: Timer = process.reactor.call_later(IDLE_S, process.close)

    def close(self, closed: Callable[[], None]) -> None:
        """Nothing is under way: it would keep the loop from getting here."""
        self._idle.cancel()
        closed()

    def _work(self, message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        self._idle.cancel()
        answer = work_off(self._registry, message)
        self._idle = self._process.reactor.call_later(IDLE_S, self._process.close)
        return answer


def work_off(registry: Registry, message: Message) -> Message:
    """Do one work; return the answer: its result, or what it failed by."""
    try:
        result = carry_out(registry, Work.from_values(message["work"], registry))
        answer: Message = {"result": result}
        encode(answer)
    except Exception as error:  # noqa: BLE001 - a stranger's, and told to who asked
        log_story(error)
        return {"failure": failure_values(error)}
    return answer
