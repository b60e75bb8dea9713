"""Running the console entry in this process."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from tierce.cli.main import main


@attrs.frozen
class Done:
    """What a run came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def tierce(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run `tierce` with these arguments."""

    def run(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run
