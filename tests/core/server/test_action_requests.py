"""Actions go to the process that has the part, and nobody who asks is left without an answer."""

from __future__ import annotations

import pytest

from core.served import Served
from serving.volumes import memory


@pytest.mark.parametrize("verb", ["act", "actions"])
def test_actions_are_asked_of_the_process_that_has_the_part(served: Served, verb: str) -> None:
    served.write(memory())

    def script() -> None:
        target = served.machine.program("target.demo")
        client = served.client()
        more = {"part": "engine", "action": "resize", "arguments": {}, "words": {}, "base": "/"}
        client.send(do=verb, id=1, volume="demo", **(more if verb == "act" else {}))
        served.reactor.turn()
        assert verb in [one["do"] for one in target.heard]

    served.serve(script)
