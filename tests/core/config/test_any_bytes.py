"""Any bytes give a Config or a ConfigError, and nothing else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tierce import ConfigError
from tierce.config import config_from_bytes
from tierce.registry import Registry

GOOD = b"""\
volumes:
  - name: demo
    size: 1 MiB
    engine: all
    options:
      needed: "yes"
      disks: [{path: a}]
    frontend: wire
"""

#: Pieces of config files, so that random ones get past the first check.
_WORDS = st.sampled_from(
    """name demo size 1 MiB 512 engine memory all frontend wire needy filters slow path options
    needed frontend_options target volumes limits stop_timeout_s 1s plugins enable example policies
    kind grow rest parameters selector exporters services
    scrape frontends listen 127.0.0.1:0 data_dir disks mode fast cache -1 1e9 true null ~ 0x10
    !!str !x &a *a << | > % @ ` ' " # ? - \\ud800
    """.split()  # noqa: SIM905
)
_PUNCTUATION = st.sampled_from([": ", "\n", "\n  ", "\n  - ", "{", "}", "[", "]", ", ", "\t", " "])
_SOUP = st.lists(_WORDS | _PUNCTUATION, max_size=40).map("".join).map(str.encode)
_TREE = st.recursive(
    _WORDS.map(repr) | st.integers().map(str) | st.just("{}"),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(_WORDS, inner, max_size=6).map(
            lambda items: f"{{{', '.join(f'{key!r}: {value}' for key, value in items.items())}}}"
        )
    ),
    max_leaves=12,
).map(str.encode)


class TestAnyBytes:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(data=st.binary(max_size=200) | _SOUP | _TREE)
    def test_give_a_config_or_a_config_error_and_nothing_else(
        self, registry: Registry, data: bytes
    ) -> None:
        _give_one_or_the_other(data, registry)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        position=st.integers(0, len(GOOD)),
        cut=st.integers(0, 8),
        put=st.binary(max_size=4) | _WORDS.map(str.encode),
    )
    def test_also_near_a_good_file(
        self, registry: Registry, position: int, cut: int, put: bytes
    ) -> None:
        _give_one_or_the_other(GOOD[:position] + put + GOOD[position + cut :], registry)


def _give_one_or_the_other(data: bytes, registry: Registry) -> None:
    try:
        config_from_bytes(data, Path("/etc/tierce.yaml"), registry)
    except ConfigError as error:
        message = str(error)
    else:
        return
    assert message.startswith("/etc/tierce.yaml"), "the file is named"
    assert message.encode(), "it can be printed"
