"""An error that speaks for another: it ends a command as that one would."""

from __future__ import annotations

from collections.abc import Mapping

from tierce.errors import TierceError, explain


class RefusedError(TierceError):
    """Something was refused elsewhere: by the server, or for several reasons at once.

    Args:
        message: Why.
        exit_code: What the command ends with.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # one class for what any error says


def name_volume(name: str, text: str) -> str:
    """Return a sentence about a volume that names the volume: once."""
    is_named = text.startswith(f"volume {name}") or f"volumes.{name}" in text
    return text if is_named else f"volume {name}: {text}"


def join_refusals(what: str, refusals: Mapping[str, Exception]) -> TierceError:
    """Return one error for what could not be served, and why each.

    Args:
        what: What that means for all.
        refusals: The error by what it is about: "volume demo"; one at least.
    """
    first = next(iter(refusals.values()))
    said = [f"{about}: {explain(error)}" for about, error in refusals.items()]
    exit_code = first.exit_code if isinstance(first, TierceError) else TierceError.exit_code
    return RefusedError(f"{what}: {'; '.join(said)}", exit_code)
