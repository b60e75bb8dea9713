"""What of the recipe can be told without packages."""

from __future__ import annotations

from system.vm.image import GUEST, SCRIPTS, module_files, recipe_digest

DEPENDENCIES = """\
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio-pci.ko.xz: kernel/drivers/virtio/virtio.ko
"""  # noqa: E501


def test_a_module_is_loaded_after_those_it_needs_and_once() -> None:
    files = module_files(("virtio_blk", "virtio_pci"), DEPENDENCIES)
    names = [file.rpartition("/")[2] for file in files]
    assert names == ["virtio.ko", "virtio_ring.ko", "virtio_blk.ko", "virtio-pci.ko.xz"]


def test_what_is_built_into_the_kernel_has_no_file() -> None:
    assert module_files(("ext4",), DEPENDENCIES) == []


def test_every_script_of_the_guest_and_nothing_else_is_part_of_the_recipe() -> None:
    # Importing the agent, as the tests of the machine do, leaves a folder beside it.
    scripts = {path.name for path in GUEST.iterdir() if path.is_file()}
    assert scripts == set(SCRIPTS)
    (GUEST / "__pycache__").mkdir(exist_ok=True)
    assert len(recipe_digest()) == 16
