"""The virtual machine's kernel and disk, made of Debian's packages: no root, nothing installed.

apt resolves and fetches into folders of our own, as for a machine on which nothing is installed
yet; the packages are unpacked (their scripts are not run), and mkfs makes a file system of the
tree. The whole takes half a minute. What was made stays in build/vm until this recipe or a file of
guest/ changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

HERE = Path(__file__).resolve().parent
GUEST = HERE / "guest"
SCRIPTS = ("agent.py", "init.sh", "initramfs.sh")
BUILT = HERE.parents[2] / "build" / "vm"
#: What building needs, by program name.
PROGRAMS = ("apt-get", "dpkg-deb", "tar", "depmod", "cpio", "mkfs.ext4")
KERNEL = "linux-image-cloud-amd64"
PACKAGES = (
    *(
        "base-passwd",
        "bash",
        "busybox-static",
        "coreutils",
        "diffutils",
        "findutils",
        "grep",
        "mawk",
        "sed",
    ),
    *("iproute2", "kmod", "mount", "procps", "python3-minimal", "udev", "util-linux"),
    *("e2fsprogs", "fio", "lsscsi", "multipath-tools", "open-iscsi", "sg3-utils", "xfsprogs"),
)
#: Drivers of the disk: what the first file system needs before any module can be read from it.
DISK_MODULES = ("virtio_pci", "virtio_blk", "ext4")
DISK_SIZE = "900M"
#: Left out of the disk: nobody reads there.
UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/perl", "usr/lib/gcc")
COMMAND_TIMEOUT_S = 300
_SYSTEM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


class ImageError(Exception):
    """The image can't be built here; the message says why."""


@attrs.frozen
class Image:
    """A kernel, its first file system and the disk."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.gz"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"


def image() -> Image:
    """Return the image, made first if it isn't there."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with _only_one(BUILT / "lock"):
        finished = BUILT / f"image-{recipe_digest()}"
        if not finished.exists():
            for old in BUILT.glob("image-*"):
                shutil.rmtree(old)
            making = BUILT / "making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            _make(making)
            making.rename(finished)
    return Image(finished)


def recipe_digest() -> str:
    """Return what changes when an image built before is of no use any more."""
    digest = hashlib.sha256()
    # What else lies there the interpreter may have left.
    for path in (Path(__file__), *(GUEST / name for name in SCRIPTS)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def module_files(names: Iterable[str], dependencies: str) -> list[str]:
    """Return the modules' files in the order to load them.

    Args:
        names: Modules; what is built into the kernel has no file and is left out.
        dependencies: The text of modules.dep: `FILE: FILE...`, the last to be loaded first.
    """
    lines = (line.partition(":") for line in dependencies.splitlines())
    needed = {file: [*reversed(rest.split()), file] for file, _, rest in lines}
    by_name = {Path(file).name.partition(".")[0].replace("-", "_"): file for file in needed}
    files = [file for name in names if name in by_name for file in needed[by_name[name]]]
    return list(dict.fromkeys(files))


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock: two runs of the tests may want the image at once."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path) -> None:
    tree = folder / "tree"
    kernel_package = _fetch(folder / "apt")
    _unpack(sorted((folder / "apt").glob("archives/*.deb")), tree)
    _complete(tree)
    version = _add_kernel(kernel_package, folder, tree)
    _make_initrd(folder, tree, version)
    disk = folder / "disk.img"
    _run("truncate", "-s", DISK_SIZE, disk)
    _run("mkfs.ext4", "-q", "-F", "-d", tree, disk)
    for done in (tree, folder / "apt"):
        shutil.rmtree(done)


def _fetch(state: Path) -> Path:
    """Fetch all packages, with those they depend on, and the kernel; returns that one's file."""
    for name in ("lists/partial", "archives/partial", "kernel"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    options = [
        f"Dir::State={state}",
        f"Dir::State::lists={state}/lists",
        f"Dir::State::status={state}/status",
        f"Dir::Cache={state}",
        f"Dir::Cache::archives={state}/archives",
        "APT::Install-Recommends=false",
        # Root's downloads go through a user who can't write here.
        *(["APT::Sandbox::User=root"] if os.geteuid() == 0 else []),
    ]
    words = [word for option in options for word in ("-o", option)]
    _run("apt-get", *words, "-qq", "update")
    _run("apt-get", *words, "-qq", "--download-only", "-y", "install", *PACKAGES)
    # The kernel's package alone: it depends on what makes a machine boot by itself.
    depends = _run("apt-cache", *words, "depends", KERNEL)
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if found is None:
        raise ImageError(f"apt knows no {KERNEL}: expected Debian, got:\n{depends}")
    _run("apt-get", *words, "-qq", "download", found[1], at=state / "kernel")
    return next((state / "kernel").glob("*.deb"))


def _unpack(packages: Sequence[Path], tree: Path) -> None:
    """Unpack into one tree, in which /bin, /lib and /sbin are links into /usr."""
    for name in ("bin", "lib", "lib64", "sbin"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda package: _unpack_one(package, tree), packages))


def _unpack_one(package: Path, tree: Path) -> None:
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
    ) as source:
        words = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(tree)]
        done = subprocess.run(words, stdin=source.stdout, capture_output=True, check=False)
    if done.returncode or source.returncode:
        raise ImageError(f"{package.name} can't be unpacked: {done.stderr.decode()}")


def _complete(tree: Path) -> None:
    """Do what the packages' own scripts would have done, as far as it is needed."""
    for name in UNREAD:
        shutil.rmtree(tree / name, ignore_errors=True)
    for name in ("passwd", "group"):
        shutil.copy(tree / "usr/share/base-passwd" / f"{name}.master", tree / "etc" / name)
    (tree / "usr/bin/awk").symlink_to("mawk")
    for name in ("dev", "proc", "sys", "run", "tmp", "mnt", "root", "var/lib/iscsi"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "etc/iscsi/initiatorname.iscsi").write_text(
        "InitiatorName=iqn.2026-11.io.tierce:linux\n"
    )
    for name in ("init.sh", "agent.py"):
        shutil.copy(GUEST / name, tree / name)


def _add_kernel(package: Path, folder: Path, tree: Path) -> str:
    """Unpack the kernel and its modules; return its version."""
    unpacked = folder / "kernel"
    _run("dpkg-deb", "-x", package, unpacked)
    modules = next((unpacked / "lib/modules").iterdir())
    shutil.copy(unpacked / "boot" / f"vmlinuz-{modules.name}", folder / "vmlinuz")
    shutil.move(modules, tree / "usr/lib/modules" / modules.name)
    shutil.rmtree(unpacked)
    _run("depmod", "-b", tree, modules.name)
    return modules.name


def _make_initrd(folder: Path, tree: Path, version: str) -> None:
    modules = tree / "usr/lib/modules" / version
    first = folder / "initrd"
    for name in ("bin", "modules", "proc", "dev", "newroot"):
        (first / name).mkdir(parents=True)
    shutil.copy(tree / "usr/bin/busybox", first / "bin/busybox")
    shutil.copy(GUEST / "initramfs.sh", first / "init")
    files = module_files(DISK_MODULES, (modules / "modules.dep").read_text())
    for file in files:
        shutil.copy(modules / file, first / "modules")
    names = "\n".join(Path(file).name for file in files)
    (first / "modules/order").write_text(f"{names}\n")
    archive = "find . | cpio --quiet -o -H newc | gzip -1"
    with (folder / "initrd.gz").open("wb") as out:
        done = subprocess.run(["sh", "-c", archive], cwd=first, stdout=out, check=False)
    if done.returncode:
        raise ImageError("the first file system can't be packed by cpio and gzip")
    shutil.rmtree(first)


def _run(*words: str | Path, at: Path | None = None) -> str:
    """Run a program that must succeed."""
    environment = {**os.environ, "PATH": _SYSTEM_PATH, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=at,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise ImageError(f"{words[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    print(image().folder)
