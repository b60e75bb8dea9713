"""What the exporters can be told."""

from __future__ import annotations

import attrs

from tierce import Address, option

#: What of 127.0.0.0/8 is not meant by its beginning.
_LOOPBACK_NAMES = frozenset({"localhost", "::1"})


@attrs.frozen
class PrometheusOptions:
    """The section `prometheus:` under `services:`."""

    listen: tuple[str, ...] = option(
        default=("127.0.0.1:9500",),
        unit="address",
        doc="Where it listens, in plain HTTP. Beyond loopback only if it is stated here. A port of "
        "0 is any free one, see `discovery_file`.",
    )
    legacy: bool = option(
        default=False,
        doc="Show the names of OpenEBS's exporters too, so that dashboards made for those work.",
    )
    discovery_file: str | None = option(
        default=None,
        unit="path",
        doc="A JSON file that is written when it listens and names its addresses, for Prometheus' "
        "`file_sd_configs`.",
    )

    def check(self) -> str | None:
        """Return what is wrong with the options, if anything is."""
        return None if self.listen else "listen names no address: nobody could read anything"

    def advice(self) -> str | None:
        """Say what works and yet should be known."""
        beyond = [one for one in self.listen if not _is_loopback(one)]
        if not beyond:
            return None
        return (
            f"the exporter listens at {', '.join(beyond)}, without a password: whoever reaches "
            "that reads the names and numbers of all volumes"
        )


def _is_loopback(address: str) -> bool:
    host = Address.parse(address).host
    return host.startswith("127.") or host in _LOOPBACK_NAMES
