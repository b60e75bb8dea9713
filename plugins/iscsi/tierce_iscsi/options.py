"""What the iSCSI front end can be told, and what it tells its users."""

from __future__ import annotations

import re

import attrs

from tierce import Address, Export, VolumeSpec, option

#: What every IQN that we make up starts with; a volume's name follows.
IQN_PREFIX = "iqn.2026-11.io.tierce:"
#: An iSCSI name: iqn, eui or naa format.
NAME = re.compile(
    r"(?=.{1,223}$)(iqn\.\d{4}-(?:0[1-9]|1[0-2])\.[a-z0-9][a-z0-9.-]*(:[^\s\x00-\x20,/]+)?|(eui|naa)\.[0-9A-Fa-f]{16,32})",
    re.IGNORECASE,
)


_EXPECTED = (
    f"expected iqn.YEAR-MONTH.DOMAIN:NAME, for example {IQN_PREFIX}data, or eui. and 16 hex digits"
)
#: Addresses that mean every one of a machine.
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - read, not bound


@attrs.frozen
class IscsiOptions:
    """The section `iscsi:` under `frontends:`."""

    listen: tuple[str, ...] = option(
        default=("127.0.0.1:3260",),
        unit="address",
        live=True,
        doc="Where the portal listens. Beyond loopback only if it is stated here.",
    )
    advertise: str | None = option(
        default=None,
        unit="address",
        live=True,
        doc="The portal that discovery names; by default the address that the initiator used.",
    )
    session_count_max: int = option(
        default=16, minimum=1, maximum=1024, live=True, doc="Sessions of one target at once."
    )
    queue_depth: int = option(
        default=128, minimum=1, maximum=1024, live=True, doc="Commands of one session at once."
    )
    nop_interval_s: float = option(
        default=15.0,
        unit="seconds",
        minimum=1,
        maximum=3600,
        live=True,
        doc="A session silent for so long is asked for a sign of life, and dropped if it gives "
        "none for as long again.",
    )
    login_timeout_s: float = option(
        default=15.0,
        unit="seconds",
        minimum=1,
        maximum=300,
        live=True,
        doc="A login takes at most so long.",
    )

    def check(self) -> str | None:
        """Return what is wrong with the options, if anything is."""
        if self.advertise is not None:
            portal = Address.parse(self.advertise)
            if portal.host in _WILDCARDS or not portal.port:
                return (
                    f"advertise {self.advertise}: nobody can dial that; name an address and a port "
                    "that initiators reach, or leave it out"
                )
        return None


@attrs.frozen
class IscsiVolumeOptions:
    """A volume's `frontend_options:`."""

    iqn: str | None = option(
        default=None, doc=f"The target's name; by default {IQN_PREFIX} and the volume's name."
    )
    initiators: tuple[str, ...] = option(
        default=(),
        live=True,
        doc="Names of the initiators that may log in; none named: all. Whoever is taken out loses "
        "its session.",
    )
    vendor: str = option(default="TIERCE", doc="Vendor in INQUIRY, at most 8 characters.")
    product: str = option(default="VOLUME", doc="Product in INQUIRY, at most 16 characters.")
    read_only: bool = option(default=False, doc="Refuse every write.")
    physical_block_size: int | None = option(
        default=None,
        unit="bytes",
        choices=(512, 4096),
        doc="What initiators are told that a physical block is, where it is more than the "
        "volume's block_size: 4096 keeps Windows from writing parts of it. By default it is the "
        "volume's block.",
    )

    def check(self) -> str | None:
        """Return what is wrong with the options, if anything is (RFC 7143 section 4.2.7)."""
        if self.iqn is not None and not NAME.fullmatch(self.iqn):
            return f"iqn {self.iqn!r} is no iSCSI name; {_EXPECTED}"
        for name in self.initiators:
            if not NAME.fullmatch(name):
                return f"initiators: {name!r} is no iSCSI name; {_EXPECTED}"
        for key, text, length_max in (("vendor", self.vendor, 8), ("product", self.product, 16)):
            if len(text) > length_max or not text.isascii() or not text.isprintable():
                return f"{key} {text!r}: expected at most {length_max} characters of ASCII"
        return None


def identity(_options: IscsiOptions, volume_name: str, volume_options: IscsiVolumeOptions) -> str:
    """Return the volume's IQN."""
    return (volume_options.iqn or f"{IQN_PREFIX}{volume_name}").lower()


def advice(options: IscsiOptions, _name: str, volume_options: IscsiVolumeOptions) -> str | None:
    """Say what works and yet should be known of a volume that is served so."""
    beyond = [one for one in options.listen if not _is_loopback(one)]
    if beyond and not volume_options.initiators:
        return (
            f"no `initiators` are named, and iSCSI listens at {', '.join(beyond)}: whoever reaches "
            "that may log in and write"
        )
    return None


def _is_loopback(address: str) -> bool:
    host = Address.parse(address).host
    return host.startswith("127.") or host in ("localhost", "::1")


def usage(options: IscsiOptions, volume: VolumeSpec, export: Export) -> dict[str, str]:
    """Return the volume's URL, and what to type into each tool to use it."""
    portal = options.advertise or options.listen[0]
    iqn = identity(options, volume.name, export.options)
    url = f"iscsi://{portal}/{iqn}/0"
    return {
        "url": url,
        "qemu-img": f"qemu-img info {url}",
        "qemu-io": f"qemu-io -f raw -c 'write -P 7 0 1M' -c 'read -P 7 0 1M' {url}",
        "iscsiadm": f"iscsiadm -m discovery -t sendtargets -p {portal} && "
        f"iscsiadm -m node -T {iqn} -p {portal} --login",
        "iscsi-ls": f"iscsi-ls -s iscsi://{portal}",
        "iscsi-inq": f"iscsi-inq {url}",
    }
