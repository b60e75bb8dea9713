"""Walking through what a config file has set."""

from __future__ import annotations

from collections.abc import Callable

from tierce.config import Config, leaves, located_error, origin_of

TEXT = """\
volumes:
  - name: demo
    size: 1 MiB
    engine: all
    options:
      needed: "yes"
      disks:
        - path: a
        - path: b
      labels: {x: y}
    frontend: wire
"""


def test_every_option_that_is_set_is_found_with_its_key_and_unit(
    load: Callable[[str], Config],
) -> None:
    options = load(TEXT).volumes[0].engine_options
    found = {key: (info.unit, value) for key, info, value in leaves(options, "o")}
    assert found["o.disks[1].path"] == ("path", "/etc/b")
    assert found["o.labels.x"] == ("", "y")
    assert found["o.cache"] == ("bytes", 4096)
    # What is not set is nowhere.
    assert "o.peer" not in found


def test_an_error_about_a_setting_has_the_line_of_the_setting(
    load: Callable[[str], Config],
) -> None:
    config = load(TEXT)
    error = located_error(config, "volumes.demo.options.disks[1].path", "is taken")
    assert str(error) == ("/etc/tierce.yaml:9: volumes.demo.options.disks[1].path: is taken")
    # Of what the file does not mention: the line of what holds it.
    assert located_error(config, "volumes.demo.options.disks[1].x", "no").line == 7
    assert located_error(config, "limits.event_count_max", "no").line == 0
    assert origin_of("nowhere", config.origins) == "default"
