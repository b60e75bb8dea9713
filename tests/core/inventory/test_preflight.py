"""What a config file asks of this machine."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from serving.strangers import lay_out
from tierce import ConfigError
from tierce.config import config_from_bytes
from tierce.inventory import capacity
from tierce.inventory.preflight import Findings, examine


def look(folder: Path, text: str) -> Findings:
    return examine(config_from_bytes(text.encode(), folder / "t.yaml"))


def refused(folder: Path, text: str) -> str:
    """Return what the one volume that is refused is told, without the file's folder."""
    findings = look(folder, text)
    ((_name, error),) = findings.refused.items()
    with pytest.raises(ConfigError):
        findings.check_all()
    assert findings.general == ()
    return str(error).replace(f"{folder}/", "")


def general(folder: Path, text: str) -> str:
    findings = look(folder, text)
    with pytest.raises(ConfigError) as caught:
        findings.check_general()
    return str(caught.value).replace(f"{folder}/", "")


def jiva(name: str, *folders: str, size: str = "1 MiB") -> str:
    lines = [f"  - name: {name}", f"    size: {size}", "    engine: jiva", "    frontend: iscsi"]
    lines += [
        "    options:",
        "      replicas:",
        *(f"        - {{folder: {one}}}" for one in folders),
    ]
    return "\n".join(lines) + "\n"


def file(name: str, path: str, size: str = "1 MiB") -> str:
    options = f"options: {{path: {path}}}"
    return f"  - {{name: {name}, size: {size}, engine: file, frontend: iscsi, {options}}}\n"


def memory(name: str, size: str = "1 MiB") -> str:
    return f"  - {{name: {name}, size: {size}, engine: memory, frontend: iscsi}}\n"


HEAD = "volumes:\n"


class TestFoldersAndFiles:
    def test_what_is_right_is_left_alone(self, tmp_path: Path) -> None:
        text = HEAD + jiva("a", "x/1", "x/2", "x/3") + file("b", "y.img") + memory("c")
        findings = look(tmp_path, "data_dir: ./x\n" + text)
        assert (findings.general, findings.refused) == ((), {})
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("")
        assert refused(tmp_path, HEAD + jiva("a", "y", "x", "z")) == (
            "t.yaml:9: volumes.a.options.replicas[1].folder: x is no folder"
        )

    def test_a_folder_that_would_lie_in_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("")
        assert refused(tmp_path, HEAD + jiva("a", "x/y/z")) == (
            "t.yaml:8: volumes.a.options.replicas[0].folder: x/y/z would lie in x, which is no "
            "folder"
        )

    def test_a_file_that_is_a_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").mkdir()
        assert refused(tmp_path, HEAD + file("a", "x")) == (
            "t.yaml:2: volumes.a.options.path: x is a folder; expected a file or a block device"
        )

    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            (jiva("a", "x"), jiva("b", "x"), "x is taken by volumes.a.options.replicas[0].folder"),
            (jiva("a", "x"), jiva("b", "x/y"), "x/y lies in "),
            (jiva("a", "x/y"), jiva("b", "x"), "x holds "),
            (jiva("a", "x"), file("b", "x/b.img"), "x/b.img lies in "),
            (
                file("a", "x.img"),
                file("b", "./y/../x.img"),
                "x.img is taken by volumes.a.options.p",
            ),
        ],
    )
    def test_two_volumes_have_no_place_together(
        self, tmp_path: Path, first: str, second: str, said: str
    ) -> None:
        told = refused(tmp_path, HEAD + first + second)
        assert told.split(": ", 2)[1].startswith("volumes.b.options.")
        assert said in told

    def test_two_replicas_of_one_volume_have_no_place_together(self, tmp_path: Path) -> None:
        assert "x/y lies in " in refused(tmp_path, HEAD + jiva("a", "x", "x/y", "z"))

    def test_a_symbolic_link_is_the_place_that_it_leads_to(self, tmp_path: Path) -> None:
        (tmp_path / "x").mkdir()
        (tmp_path / "y").symlink_to("x")
        assert "x is taken by " in refused(tmp_path, HEAD + jiva("a", "x") + jiva("b", "y"))

    @pytest.mark.parametrize("own", ["run", "logs", "state/x", "volumes/a"])
    def test_what_the_server_keeps_is_no_place_for_a_volume(self, tmp_path: Path, own: str) -> None:
        told = refused(tmp_path, "data_dir: d\n" + HEAD + jiva("a", f"d/{own}"))
        assert f"d/{own} is the server's own: data_dir/{own.partition('/')[0]}" in told

    def test_the_data_folder_is_no_place_for_a_volume(self, tmp_path: Path) -> None:
        text = "data_dir: x/d\n" + HEAD
        assert "x/d is the data folder itself" in refused(tmp_path, text + jiva("a", "x/d"))
        assert "x holds the data folder x/d" in refused(tmp_path, text + jiva("a", "x"))

    def test_a_data_folder_that_is_a_file_is_wrong_for_all(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("")
        assert general(tmp_path, "data_dir: ./x\n") == "t.yaml:1: data_dir: x is no folder"
        assert "x/d would lie in x" in general(tmp_path, "\ndata_dir: ./x/d\n")


class TestPorts:
    @pytest.mark.parametrize(
        ("listen", "said"),
        [
            (["127.0.0.1:1", "127.0.0.1:1"], "127.0.0.1:1 is taken by frontends.iscsi.listen[0]"),
            (["127.0.0.1:1", "0.0.0.0:1"], "0.0.0.0:1 is taken by frontends.iscsi.listen[0]"),
            (["[::]:1", "[::1]:1"], "[::1]:1 is taken by "),
        ],
    )
    def test_one_port_is_listened_at_once(
        self, tmp_path: Path, listen: list[str], said: str
    ) -> None:
        told = general(tmp_path, f"\nfrontends:\n  iscsi:\n    listen: {listen}\n")
        assert told.startswith("t.yaml:4: frontends.iscsi.listen[1]: ")
        assert said in told

    @pytest.mark.parametrize(
        "listen",
        [
            ["127.0.0.1:1", "127.0.0.2:1"],
            ["0.0.0.0:1", "[::]:1"],
            ["127.0.0.1:0", "127.0.0.1:0"],
        ],
    )
    def test_ports_that_do_not_meet_are_right(self, tmp_path: Path, listen: list[str]) -> None:
        assert look(tmp_path, f"frontends: {{iscsi: {{listen: {listen}}}}}\n").general == ()

    def test_a_replicas_port_is_its_own(self, tmp_path: Path) -> None:
        def volume(name: str) -> str:
            return jiva(name, f"{name}-1").replace("}\n", ', address: "127.0.0.1:7001"}\n')

        told = refused(tmp_path, HEAD + volume("a") + volume("b"))
        assert told == (
            "t.yaml:15: volumes.b.options.replicas[0].address: 127.0.0.1:7001 is taken by "
            "volumes.a.options.replicas[0].address (t.yaml:8)"
        )


class TestWhatShouldBeKnown:
    def notes(self, folder: Path, text: str) -> str:
        findings = look(folder, text)
        findings.check_all()
        return "\n".join(findings.notes).replace(f"{folder}/", "")

    def test_replicas_on_one_file_system(self, tmp_path: Path) -> None:
        assert self.notes(tmp_path, HEAD + jiva("a", "x", "y", "z")) == (
            "t.yaml:2: volumes.a: 3 of its 3 replicas lie on one file system: they survive the "
            "loss of a process, not that of the disk"
        )

    def test_one_replica_shares_no_disk(self, tmp_path: Path) -> None:
        assert self.notes(tmp_path, HEAD + jiva("a", "x")) == ""

    def test_volumes_that_may_grow_beyond_their_disk(self, tmp_path: Path) -> None:
        disk = capacity.find_disk(tmp_path)
        assert disk is not None
        size = (disk.size_bytes >> 20) // 2 + 1
        one, other = (file(name, f"{name}.img", f"{size} MiB") for name in ("a", "b"))
        assert self.notes(tmp_path, HEAD + one) == ""
        told = self.notes(tmp_path, HEAD + one + other)
        assert "may grow to" in told
        assert "when it is full, writes are refused" in told

    def test_memory_that_the_machine_does_not_have(self, tmp_path: Path) -> None:
        assert self.notes(tmp_path, HEAD + memory("a")) == ""
        told = self.notes(tmp_path, HEAD + memory("a", "512 TiB") + memory("b", "1 TiB"))
        assert told.startswith("t.yaml: volumes in memory (a, b) may grow to 525,312.0 GiB")

    def test_more_processes_than_descriptors(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = HEAD + "".join(memory(f"v{number}") for number in range(40))
        assert self.notes(tmp_path, text) == ""
        monkeypatch.setattr(resource, "getrlimit", lambda _which: (120, 120))
        assert "some 148 descriptors, 120 may be open" in self.notes(tmp_path, text)

    def test_a_service_of_volumes_counts_once_for_each_of_its_volumes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lay_out(("watchman",), tmp_path / "site")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        monkeypatch.setattr(resource, "getrlimit", lambda _which: (20, 20))
        text = HEAD + memory("a") + memory("b") + "services:\n  captain: {folder: x}\n"
        for more, count in (("", 5), ("  watchman: {folder: x}\n", 7)):
            assert f"{count} processes take" in self.notes(tmp_path, text + more)

    def test_a_volume_that_anybody_may_log_in_to(self, tmp_path: Path) -> None:
        beyond = 'frontends: {iscsi: {listen: ["127.0.0.1:1", "0.0.0.0:2"]}}\n'
        told = self.notes(tmp_path, beyond + HEAD + memory("a"))
        assert told == (
            "t.yaml:3: volumes.a: no `initiators` are named, and iSCSI listens at 0.0.0.0:2: "
            "whoever reaches that may log in and write"
        )
        named = memory("a").replace(
            "}\n", ', frontend_options: {initiators: ["iqn.1993-08.org.debian:01:app"]}}\n'
        )
        assert self.notes(tmp_path, beyond + HEAD + named) == ""
        assert self.notes(tmp_path, HEAD + memory("a")) == ""


def test_a_file_system_that_can_not_be_seen_is_none(tmp_path: Path) -> None:
    assert capacity.find_disk(Path("/proc/self/fd/0/x")) is None
    found = capacity.find_disk(tmp_path / "not" / "there" / "yet")
    assert found is not None
    assert found.place == tmp_path
