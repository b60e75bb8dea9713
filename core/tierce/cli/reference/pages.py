"""Every reference page: its file name and its text."""

from __future__ import annotations

from collections.abc import Mapping

from tierce.cli.reference.calls_page import calls_page
from tierce.cli.reference.causes_page import causes_page
from tierce.cli.reference.cli_page import cli_page
from tierce.cli.reference.config_page import config_page
from tierce.cli.reference.events_page import events_page
from tierce.cli.reference.exit_codes_page import exit_codes_page
from tierce.cli.reference.hooks_page import hooks_page
from tierce.cli.reference.plugins_page import plugins_page
from tierce.cli.reference.services_page import services_page
from tierce.cli.reference.states_page import states_page
from tierce.registry import OWN_PACKAGE, Registry, installed


def pages() -> Mapping[str, str]:
    """Return the pages, by file name. Only what Tierce itself ships is on them, whatever else is
    installed."""
    registry = Registry(one for one in installed() if one.package == OWN_PACKAGE)
    return {
        "calls.md": calls_page(),
        "causes.md": causes_page(),
        "cli.md": cli_page(),
        "config.md": config_page(),
        "events.md": events_page(registry),
        "exit-codes.md": exit_codes_page(),
        "hooks.md": hooks_page(),
        "plugins.md": plugins_page(registry),
        "services.md": services_page(),
        "states.md": states_page(),
    }
