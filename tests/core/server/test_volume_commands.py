"""What `tierce volume` makes of its words, without a server."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tierce import ConfigError, TemporaryError, UsageError
from tierce.cli.data_folder import find_data_dir
from tierce.cli.volume import parse_options, served_by, volume
from tierce.process.client import ask, is_running
from tierce.process.paths import Paths


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((), {}),
        (("path=/x=y",), {"path": "/x=y"}),
        (("count=3", "fast=true", "size=1GiB"), {"count": 3, "fast": True, "size": "1GiB"}),
        (('replicas=[{"folder": "a"}]',), {"replicas": [{"folder": "a"}]}),
        (('{"a": 1}', "b=2"), {"a": 1, "b": 2}),
        (("empty=",), {"empty": ""}),
    ],
)
def test_options_are_words_or_json(words: tuple[str, ...], options: dict[str, object]) -> None:
    assert parse_options(words) == options


@pytest.mark.parametrize("word", ["path", "=x", "", "{", "{]"])
def test_what_is_no_option_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--option"):
        parse_options((word,))


@pytest.mark.parametrize(
    ("frontend", "options", "exports", "said"),
    [
        (None, (), (), {"frontend": "iscsi", "frontend_options": {}}),
        ("nbd", ("tls=true",), (), {"frontend": "nbd", "frontend_options": {"tls": True}}),
        (
            None,
            (),
            ("iscsi", "nbd:ro"),
            {"exports": [{"frontend": "iscsi"}, {"frontend": "nbd", "access": "ro"}]},
        ),
        (
            None,
            (),
            ('{"frontend": "iscsi", "options": {"alias": "a"}}',),
            {"exports": [{"frontend": "iscsi", "options": {"alias": "a"}}]},
        ),
    ],
)
def test_a_volume_is_served_by_one_front_end_or_by_exports(
    frontend: str | None, options: tuple[str, ...], exports: tuple[str, ...], said: object
) -> None:
    assert served_by(frontend, options, exports) == said


@pytest.mark.parametrize(("frontend", "options"), [("iscsi", ()), (None, ("a=b",))])
def test_exports_and_the_short_form_exclude_each_other(
    frontend: str | None, options: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="in an --export of its own"):
        served_by(frontend, options, ("iscsi",))


def test_an_export_that_is_half_of_an_object_is_named() -> None:
    with pytest.raises(UsageError, match="not JSON"):
        served_by(None, (), ("{",))


@given(st.text(max_size=40))
def test_any_word_is_options_or_a_usage_error(word: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_options((word,)), dict)


def test_the_data_folder_is_what_was_said_most_directly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIERCE_DATA_DIR", raising=False)
    assert find_data_dir(None, None) == tmp_path / "tierce-data"
    monkeypatch.setenv("TIERCE_DATA_DIR", "/from/environment")
    assert find_data_dir(None, None) == Path("/from/environment")
    assert find_data_dir(Path("given"), None) == tmp_path / "given"
    config = tmp_path / "tierce.yaml"
    config.write_text("data_dir: ./elsewhere\n")
    assert find_data_dir(None, config) == tmp_path / "elsewhere"
    with pytest.raises(UsageError, match="give one"):
        find_data_dir(Path("given"), config)
    config.write_text("data_dir: [")
    with pytest.raises(ConfigError):
        find_data_dir(None, config)


def test_without_a_server_the_commands_say_what_to_start(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    with pytest.raises(TemporaryError, match=r"start one with `tierce serve FILE`"):
        ask(tmp_path, {"do": "list"})
    with pytest.raises(UsageError, match="there is no data folder"):
        ask(tmp_path / "absent", {"do": "list"})
    # A socket that a dead server left is no server.
    paths = Paths(tmp_path)
    paths.make()
    paths.socket("serve").touch()
    with pytest.raises(TemporaryError, match="no server runs"):
        ask(tmp_path, {"do": "list"})


def test_a_delete_that_is_not_confirmed_asks_nobody() -> None:
    result = CliRunner().invoke(volume, ["delete", "demo"], input="n\n")
    assert result.exit_code == 1
    assert "Delete volume demo and all its data?" in result.output
