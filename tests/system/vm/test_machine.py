"""The agent's port carries what scripts say, whole and told apart, without a machine behind it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from serving.processes import wait_until
from system.vm.guest.agent import OUTPUT_BYTES_MAX, Agent
from system.vm.machine import AgentPort, MachineError, Outcome


@pytest.fixture
def port() -> Iterator[AgentPort]:
    """The host's end; the agent serves the other one here, on this machine."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=Agent(theirs.detach()).serve)
    thread.start()
    made = AgentPort(ours)
    yield made
    ours.shutdown(socket.SHUT_RDWR)
    made.close()
    thread.join()


def done(port: AgentPort, number: int) -> Outcome:
    def is_done() -> bool:
        port.serve(0.1)
        return port.outcome(number) is not None

    wait_until(is_done, f"script {number} is done")
    outcome = port.outcome(number)
    assert outcome is not None
    return outcome


def test_a_script_returns_its_exit_code_and_both_outputs_in_order(port: AgentPort) -> None:
    assert done(port, port.begin("echo one; echo two >&2; exit 7")) == Outcome(7, "one\ntwo\n")
    assert port.is_ready


def test_output_that_looks_like_a_message_is_output(port: AgentPort) -> None:
    said = "done 1 0 0\nrun 2 3\n\x00no newline"
    assert done(port, port.begin(f"printf '{said}'".replace("\x00", "\\0"))) == Outcome(0, said)


def test_scripts_run_beside_each_other_and_answer_as_they_end(port: AgentPort) -> None:
    waiting = port.begin("until [ -e /proc/$PPID/nothing ]; do sleep 0.05; done; exit 9")
    assert done(port, port.begin("echo quick")) == Outcome(0, "quick\n")
    assert port.outcome(waiting) is None
    port.stop(waiting)
    assert done(port, waiting).code == -9


def test_a_daemon_that_keeps_the_output_open_delays_no_answer(port: AgentPort) -> None:
    outcome = done(port, port.begin("sleep 600 & echo $!"))
    assert outcome.code == 0
    assert done(port, port.begin(f"kill {outcome.output}")).code == 0


def test_of_too_much_output_the_end_is_kept(port: AgentPort) -> None:
    outcome = done(port, port.begin(f"yes | head -c {OUTPUT_BYTES_MAX}; printf end"))
    assert len(outcome.output) == OUTPUT_BYTES_MAX
    assert outcome.output.endswith("end")


def test_a_machine_that_dies_is_told() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    port = AgentPort(ours)
    with pytest.raises(MachineError):
        port.serve(1)
    port.close()
