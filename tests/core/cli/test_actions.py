"""What `tierce volume act` makes of its words, without a server."""

from __future__ import annotations

import pytest

from tierce import UsageError
from tierce.cli.actions import split_arguments


def test_arguments_are_words_as_typed_or_json() -> None:
    words, values = split_arguments(("size=1GiB", "name=7", "path=/a=b", '{"deep": {"a": 1}}'))
    # What text is, the part that is asked decides: `name` may be text, and 7 one.
    assert words == {"size": "1GiB", "name": "7", "path": "/a=b"}
    assert values == {"deep": {"a": 1}}


@pytest.mark.parametrize("word", ["size", "=1", "", "{", "{]"])
def test_what_is_no_argument_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="argument"):
        split_arguments((word,))
