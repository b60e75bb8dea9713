"""A config file gives a Config, or one error with file, line, and the nearest valid name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierce import ConfigError, Export, VolumeSpec
from tierce.config import Config, Limits, config_from_bytes, load_config
from tierce.config.loading import load_registry
from tierce.config.source import FILE_BYTES_MAX
from tierce.registry import Registry
from tierce.spec import NO_UUID

Load = Callable[[str], Config]

VOLUME = """\
volumes:
  - name: demo
    size: 1 MiB
    engine: memory
    frontend: wire
"""
ALL = """\
volumes:
  - name: demo
    size: 1 MiB
    engine: all
    options:
      needed: "yes"
      OPTION
    frontend: wire
"""


def error(load: Load, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text)
    message = str(caught.value)
    assert message.startswith(f"/etc/tierce.yaml:{caught.value.line}: "), message
    assert "\n" not in message
    return message.removeprefix("/etc/tierce.yaml:")


def set_option(load: Load, written: str) -> Any:
    return load(ALL.replace("OPTION", written)).volumes[0].engine_options


class TestWhatAFileComesTo:
    def test_a_small_file_has_defaults_for_the_rest(self, load: Load) -> None:
        config = load(VOLUME)
        (volume,) = config.volumes
        assert volume == VolumeSpec(
            uuid=NO_UUID,
            name="demo",
            size_bytes=1 << 20,
            block_size=512,
            engine="memory",
            engine_options=volume.engine_options,
            exports=(Export(frontend="wire", options=volume.exports[0].options),),
        )
        assert config.data_dir == Path("/etc/tierce-data")
        assert config.limits == Limits()
        assert config.frontends["wire"].listen == ("127.0.0.1:0",)
        assert "needy" not in config.frontends, "it has no defaults"
        assert (config.services, config.policies, config.advice) == ({}, (), ())

    def test_everything_may_be_set(self, load: Load) -> None:
        config = load(
            VOLUME
            + """\
    block_size: 4096
    frontend_options: {target: mine}
    filters: [{name: slow, path: x, weight: 2}, {name: trace}]
data_dir: /var/lib/tierce
frontends: {wire: {listen: ["[::1]:3260"]}}
exporters: {scrape: }
policies: [{kind: grow, name: p, selector: {volumes: [demo]}, parameters: {path: y}}]
limits: {stop_timeout_s: 2 min}
"""
        )
        assert config.data_dir == Path("/var/lib/tierce")
        assert config.frontends["wire"].listen == ("[::1]:3260",)
        assert config.services["scrape"].options.listen == ("127.0.0.1:0",)
        assert config.limits.stop_timeout_s == 120
        (policy,) = config.policies
        assert (policy.kind, policy.name, policy.volumes) == ("grow", "p", ("demo",))
        assert policy.parameters.path == "/etc/y"
        (volume,) = config.volumes
        assert volume.block_size == 4096
        assert volume.exports[0].options.target == "mine"
        slow, trace = volume.filters
        assert (slow[0], slow[1].weight, trace[0]) == ("slow", 2, "trace")

    def test_each_value_says_where_it_came_from(self, load: Load) -> None:
        origins = load(VOLUME).origins
        assert origins["volumes.demo"] == "/etc/tierce.yaml:2"
        assert origins["volumes.demo.size"] == "/etc/tierce.yaml:3"
        assert origins["volumes.demo.block_size"] == "default"
        assert origins["limits.stop_timeout_s"] == "default"

    def test_sections_may_be_left_empty(self, load: Load) -> None:
        config = load("plugins:\nfrontends:\nexporters:\npolicies:\nlimits:\nvolumes:\n")
        assert config.volumes == ()

    def test_advice_is_no_error(self, load: Load) -> None:
        config = load(ALL.replace("OPTION", "disks: [{path: a}]"))
        assert config.advice == (
            "/etc/tierce.yaml:5: volumes.demo.options: one disk is lost at once",
        )

    def test_a_variable_within_a_path_is_advised_of(self, load: Load) -> None:
        config = load("data_dir: /srv/$HOST/x\n")
        assert config.data_dir == Path("/srv/$HOST/x")
        assert config.advice == (
            "/etc/tierce.yaml:1: data_dir: $HOST is taken as it stands: variables are not replaced",
        )

    def test_a_policy_about_a_volume_that_is_not_here_is_advised_of(self, load: Load) -> None:
        config = load(VOLUME + "policies: [{kind: rest, name: p, selector: {volumes: [other]}}]\n")
        assert "selects the volume 'other'" in config.advice[0]

    def test_a_service_of_volumes_selects_them_beside_its_own_options(self, load: Load) -> None:
        text = "services: {guard: {selector: {volumes: [demo]}, path: x}, scrape: }\n"
        config = load(VOLUME + text)
        guard = config.services["guard"]
        assert (guard.options.path, guard.volumes) == ("/etc/x", ("demo",))
        assert (guard.is_for("demo"), guard.is_for("other")) == (True, False)
        assert not config.services["scrape"].is_for("demo"), "it is one of the node"
        assert config.advice == ()

    def test_a_service_of_volumes_is_for_all_where_none_is_selected(self, load: Load) -> None:
        config = load("services: {guard: {path: x}}\n")
        assert config.services["guard"].is_for("any")

    def test_a_service_about_a_volume_that_is_not_here_is_advised_of(self, load: Load) -> None:
        config = load(VOLUME + "services: {guard: {selector: {volumes: [other]}, path: x}}\n")
        assert config.advice == (
            "/etc/tierce.yaml:6: service 'guard' selects the volume 'other', which this file does "
            "not name",
        )

    def test_anchors_work(self, load: Load) -> None:
        config = load(
            VOLUME.replace("frontend: wire", "frontend: wire\n    frontend_options: &a {}")
            + "exporters: {scrape: *a}\n"
        )
        assert "scrape" in config.services


class TestWhatIsWrongInAFile:
    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("volume: []", "1: unknown option 'volume'; the nearest is 'volumes'"),
            ("volumes: {}", "1: volumes: expected a list, got a mapping"),
            ("volumes: [5]", "1: volumes[0]: expected a mapping, got the number 5"),
            ("limits: {stop_timeout: 1}", "the nearest is 'stop_timeout_s'"),
            ("limits: {stop_timeout_s: -1 s}", "expected a duration"),
            ("limits: {stop_timeout_s: 0}", "expected at least 0.1 s, got the number 0"),
            ("limits: {event_count_max: 1.5}", "expected a whole number, got the number 1.5"),
            ("data_dir: [a]", "1: data_dir: expected a path, got a list"),
            ("data_dir: ''", "1: data_dir: expected a path, got empty text"),
            ("frontends: {wier: {}}", "no enabled plugin brings the front end 'wier'; the nearest"),
            ("frontends: {wire: {listen: [nowhere]}}", "expected HOST:PORT"),
            ("frontends: {wire: {listen: nowhere}}", "expected a list (HOST:PORT each)"),
            ("frontends: {wire: {listen: ['h:65536']}}", "port 65536 is above 65535"),
            ("frontends: {wire: {listen: []}}", "listen: it names no address"),
            ("data_dir: ~/x", "1: data_dir: expected a path, got '~/x': '~' is not replaced"),
            ("data_dir: $HOME/x", "data_dir: expected a path, got '$HOME/x': $HOME is not"),
            ("data_dir: file:///x", "data_dir: expected a path on this machine, got 'file:///x'"),
            ("limits: {silence_told_s: 30, silence_killed_s: 30}", "is not above silence_told_s"),
            ("exporters: {scrap: {}}", "the nearest is 'scrape'"),
            ("services: {scrap: {}}", "the nearest is 'scrape'"),
            (
                "services: {scrape: }\nexporters: {scrape: }",
                "2: exporters.scrape: the service 'scrape' is there already, in ",
            ),
            (
                "limits:\nservices: {shards: }",
                "2: services.shards: the service 'shards' is one of a pool, and this Tierce has no",
            ),
            ("services: {guard: {path: x, selector: 5}}", "guard.selector: expected a mapping"),
            ("services: {guard: {path: x, selector: {volume: a}}}", "the nearest is 'volumes'"),
            ("services: {scrape: {selector: {}}}", "services.scrape: unknown option 'selector'"),
            ("services: {guard: 5}", "services.guard: expected a mapping"),
            ("policies: [{kind: grwo, name: a}]", "the nearest is 'grow'"),
            ("policies: [{kind: rest}]", "policies[0]: the option 'name' is missing"),
            ("policies: [{kind: grow, name: a}]", "the option 'path' is missing"),
            ("policies: [{kind: rest, name: a}, {kind: rest, name: a}]", "policy 'a' already"),
            ("plugins: {enable: jiva}", "expected a list"),
            ("plugins: 5", "1: plugins: expected a mapping, got the number 5"),
        ],
    )
    def test_a_wrong_section_is_told(self, load: Load, written: str, said: str) -> None:
        assert said in error(load, written + "\n")

    @pytest.mark.parametrize(
        ("right", "wrong", "said"),
        [
            ("name: demo", "name: Demo", "2: volumes[0].name: expected 1 to 63 of a-z"),
            ("name: demo", "name: 5", "got the number 5; put quotes around it"),
            ("name: demo", f"name: {'a' * 64}", "2: volumes[0].name: expected 1 to 63"),
            ("name: demo", "nam: demo", "the nearest is 'name'"),
            ("size: 1 MiB", "size: 1 MB", "3: volumes.demo.size: the unit 'MB' is not known"),
            ("size: 1 MiB", "size: 1000", "3: volumes.demo.size: 1000 bytes is not a multiple"),
            ("size: 1 MiB", "size: 0", "expected at least 512 B"),
            ("size: 1 MiB", "size: 2 PiB", "expected at most 1 PiB"),
            ("size: 1 MiB", "size: big", "expected a size such as"),
            ("size: 1 MiB", "size:", "expected a size such as 64 KiB or 1 GiB, got nothing"),
            ("size: 1 MiB", "size: 1 MiB\n    block_size: 1024", "expected one of 512, 4096"),
            ("size: 1 MiB", "size: 512\n    block_size: 4096", "block size, 4096"),
            ("engine: memory", "engine: memroy", "4: volumes.demo: no enabled plugin brings"),
            ("engine: memory", "engine: memroy", "the nearest is 'memory'"),
            ("engine: memory", "engine: memory\n    options: {a: 1}", "unknown option 'a'"),
            ("engine: memory", "engine: all", "the option 'needed' is missing"),
            ("frontend: wire", "frontend: wrie", "front end 'wrie'; the nearest is 'wire'"),
            ("frontend: wire", "frontend: needy", "needs a section under `frontends:`"),
            ("frontend: wire", "frontend: broken", "can't name it: no names: Input/output error"),
            ("frontend: wire", "frontend: missing", "has no 'nowhere'"),
            ("frontend: wire", "frontend: wire\n    filters: [{name: solw}]", "'slow'"),
            (
                "frontend: wire",
                "frontend: wire\n    filters: [{}]",
                "the filter's 'name' is missing",
            ),
            ("frontend: wire", "frontend: wire\n    filters: [slow]", "expected a mapping"),
            ("frontend: wire", "frontend: wire\n    filters: [{name: 1}]", "expected text"),
            ("frontend: wire", "frontend: wire\n    filters: [{name: slow}]", "'path' is missing"),
        ],
    )
    def test_a_wrong_volume_is_told(self, load: Load, right: str, wrong: str, said: str) -> None:
        assert right in VOLUME
        assert said in error(load, VOLUME.replace(right, wrong))

    def test_two_volumes_of_one_name_are_told(self, load: Load) -> None:
        assert "6: there is a volume 'demo' already, in /etc/tierce.yaml:2" in error(
            load, VOLUME + VOLUME.removeprefix("volumes:\n")
        )

    def test_two_volumes_with_one_identity_are_told(self, load: Load) -> None:
        other = VOLUME.removeprefix("volumes:\n").replace("name: demo", "name: other")
        text = VOLUME + other + "    frontend_options: {target: target-demo}\n"
        assert error(load, text).startswith(
            "10: volumes.other: the front end 'wire' would serve it as 'target-demo', and the "
            "volume 'demo' too"
        )

    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("switch: true", True),
            ("count: 9", 9),
            ("share: 1", 1.0),
            ("mode: fast", None),
            ("level: high", "high"),
            ("cache: 1.5 KiB", 1536),
            ("patience: 200 ms", 0.2),
            ("folder: ../x", "/x"),
            ("peer: '[fe80::1]:1'", "[fe80::1]:1"),
            ("labels: {a: b}", {"a": "b"}),
        ],
    )
    def test_an_option_of_each_kind_is_taken(self, load: Load, written: str, value: object) -> None:
        options = set_option(load, written)
        found = getattr(options, written.partition(":")[0])
        assert found == value if value is not None else found.value == "fast"

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("switch: yes", "7: volumes.demo.options.switch: expected true or false"),
            ("switch: 1", "expected true or false, got the number 1"),
            ("count: 10", "expected at most 9, got the number 10"),
            ("count: true", "expected a whole number, got true"),
            ("count: '5'", "expected a whole number, got the text '5'"),
            ("share: .inf", "expected a number, got the text '.inf'"),
            ("share: 2", "expected at most 1"),
            (f"share: {'9' * 399}", "too large"),
            (
                "mode: fats",
                "expected one of fast, safe, got the text 'fats'; the nearest is 'fast'",
            ),
            ("mode: 5", "expected one of fast, safe"),
            ("level: hihg", "the nearest is 'high'"),
            ("cache: -1", "expected at least 0 B"),
            ("cache: 0.3 B", "no whole number of bytes"),
            ("patience: 5 parsecs", "the unit 'parsecs' is not known; expected one of us, ms, s"),
            ("peer: 5", "expected HOST:PORT, or nothing, got the number 5"),
            (
                "disk: {path: a, weight: 11}",
                "volumes.demo.options.disk.weight: expected at most 10",
            ),
            (
                "disks: [{path: a}, {}]",
                "volumes.demo.options.disks[1]: the option 'path' is missing",
            ),
            ("labels: {a: 5}", "volumes.demo.options.labels.a: expected text"),
            ("labels: [a]", "expected a mapping, got a list"),
            ("level:", "expected text, got nothing"),
        ],
    )
    def test_a_wrong_option_of_each_kind_is_told(self, load: Load, written: str, said: str) -> None:
        assert said in error(load, ALL.replace("OPTION", written))

    def test_options_that_do_not_go_together_are_told_at_their_section(self, load: Load) -> None:
        text = ALL.replace("OPTION", "mode: fast\n      disks: [{path: a}, {path: b}]")
        assert error(load, text) == "5: volumes.demo.options: fast mode takes no disks"

    def test_a_secret_is_never_quoted(self, load: Load) -> None:
        assert "12345678" not in error(load, ALL.replace("OPTION", "password: 12345678"))

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", ":1: empty"),
            (b"# nothing but a comment\n", ":1: empty"),
            (b"volumes: []\nx: \xff", ":2: not UTF-8: byte 0xff"),
            (b"volumes:\n\t- a", ":2: a tab; YAML is indented with spaces"),
            (b"a: 1\na: 2", ":2: 'a' is here twice, first in line 1"),
            (b"limits:\n  a: 1\n  a: 2", ":3: 'a' is here twice, first in line 2"),
            (b"volumes: [}", ":1: not YAML"),
            (b"a: 1\n---\nb: 2", ":2: a second document"),
            (b"a: \x07", ":1: the character U+0007 is not allowed"),
            (b"1: a", ":1: the key 1 is not text"),
            (b"[a]: b", ":1: a list or mapping can't be a key"),
            (b"a: &x [*x]", "nested deeper than 50"),
            (b"[" * 5000, "nested deeper than 50"),
            (b"a: !!python/name:os.system", "python/name:os.system' is not known"),
            (b"a: !!int twelve", "int' is not known here"),
            (b'a: "\\ud800"', "holds what is no character"),
            (b'a: "\\0"', "holds what is no character"),
            (b'a: "\\U00110000"', "not YAML"),
            (b"<<: {volumes: []}", "unknown option '<<'"),
            (b"x" * (FILE_BYTES_MAX + 1), "larger than 1 MiB"),
        ],
    )
    def test_what_is_no_config_file_is_told(
        self, registry: Registry, data: bytes, said: str
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            config_from_bytes(data, Path("f.yaml"), registry)
        assert said in str(caught.value)
        assert len(str(caught.value)) < 1000

    def test_a_file_of_aliases_that_would_grow_without_end_is_refused(
        self, registry: Registry
    ) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
        with pytest.raises(ConfigError, match="more than 100000 values"):
            config_from_bytes("\n".join(lines).encode(), Path("f.yaml"), registry)

    def test_a_byte_order_mark_is_no_matter(self, registry: Registry) -> None:
        assert config_from_bytes(b"\xef\xbb\xbfvolumes: []", Path("f"), registry).volumes == ()


class TestFiles:
    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="can't be read: No such file or directory"):
            load_config(tmp_path / "nowhere.yaml")

    def test_a_folder_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="can't be read: Is a directory"):
            load_config(tmp_path)

    def test_relative_paths_start_from_the_files_folder(
        self, tmp_path: Path, registry: Registry
    ) -> None:
        file = tmp_path / "tierce.yaml"
        file.write_text("data_dir: ./data\n")
        assert load_config(file, registry).data_dir == tmp_path / "data"

    def test_a_plugin_that_is_not_installed_is_told_at_its_line(self, tmp_path: Path) -> None:
        file = tmp_path / "tierce.yaml"
        file.write_text("plugins:\n  enable:\n    - jiva\n    - iscsy\n")
        for read in (load_config, load_registry):
            with pytest.raises(ConfigError, match=r":4: plugins\.enable: .*nearest is 'iscsi'"):
                read(file)

    def test_an_engine_of_a_disabled_plugin_is_told_with_the_reason(self, tmp_path: Path) -> None:
        file = tmp_path / "tierce.yaml"
        file.write_text("plugins: {disable: [engines]}\n" + VOLUME.replace("wire", "iscsi"))
        with pytest.raises(ConfigError, match=r"engines \(disabled: plugins\.disable names it\)"):
            load_config(file)
        assert "memory" not in load_registry(file).engines

    def test_plugins_are_known_even_if_the_rest_is_wrong(self, tmp_path: Path) -> None:
        file = tmp_path / "tierce.yaml"
        file.write_text("plugins: {enable: [engines]}\nvolumes: 5\n")
        assert [one.name for one in load_registry(file).plugins if one.state == "enabled"] == [
            "engines"
        ]
