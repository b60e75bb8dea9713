"""A policy that asks for an action every second, and the service that does it."""

from pathlib import Path

import attrs

import tierce


@attrs.frozen
class MetronomeOptions:
    """The section under `services:`."""

    file: str = tierce.option(doc="What each tick is appended to.", unit="file")


@attrs.frozen
class TickArguments:
    """What a tick takes."""

    word: str = tierce.option(doc="What is written down.")


@attrs.frozen
class TickResult:
    """What a tick answers."""

    count: int = tierce.option(doc="How many there were.")


@attrs.frozen
class BeatOptions:
    """A policy document's `parameters:`."""

    every_s: float = tierce.option(doc="How often.", unit="seconds", default=1.0)
    how: str = tierce.option(doc="What it does instead of asking.", default="")


@tierce.hookimpl
def tierce_services():
    """Name the service."""
    return [
        tierce.ServiceDescription(
            name="metronome",
            summary="Writes down each tick.",
            factory="tierce_metronome:Metronome",
            options=MetronomeOptions,
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_policy_handlers():
    """Name the kind of policy document."""
    return [
        tierce.PolicyHandlerDescription(
            kind="beat",
            summary="Has the metronome tick.",
            factory="tierce_metronome:evaluate",
            options=BeatOptions,
            contract=2,
        )
    ]


class Metronome(tierce.Service):
    """Ticks when it is told to."""

    ticks = 0

    def run(self):
        """Wait for the end: what there is to do comes as actions."""
        while self.context.wait(3600):
            pass

    def actions(self):
        """Say what can be asked."""
        return (
            tierce.Action(
                name="tick",
                summary="Writes down a tick.",
                arguments=TickArguments,
                result=TickResult,
            ),
        )

    def manage(self, action, arguments, job):
        """Do it."""
        self.ticks += 1
        with Path(self.context.options.file).open("a") as file:
            file.write(f"{arguments.word}\n")
        job.done(TickResult(count=self.ticks))


def evaluate(policy, volumes, now):
    """Have a tick now and the next one later; or be as a handler should not be."""
    if policy.parameters.how == "raise":
        raise RuntimeError("out of rhythm")
    while policy.parameters.how == "hang":
        pass
    tick = tierce.ActionCall(service="metronome", action="tick", arguments={"word": policy.name})
    return tierce.Evaluation(actions=(tick,), next_at=now + policy.parameters.every_s)
