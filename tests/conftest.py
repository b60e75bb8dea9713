"""What holds for every test: in CI nothing is skipped, nothing is timed, what a test starts can be
interrupted, and where a real server was there its story is shown with the failure."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from serving.server import Server

# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A job in a shell's background ignores SIGINT, and so would all that is started from it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A real server on a folder of its own, which is yet to be started."""
    with Server(tmp_path) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for given in getattr(item, "funcargs", {}).values():
        # What is before a server knows it.
        used = getattr(given, "server", given)
        if report.failed and isinstance(used, Server):
            report.sections.append(("tierce serve", used.story()))
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a CI run in which a test was skipped: what was not tried proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and os.environ.get("CI") and exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(skipped)} tests were skipped, and CI is set: that is a failure")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
