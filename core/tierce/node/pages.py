"""A data process's own statistics page."""

from __future__ import annotations

from tierce.process.process_loop import Process
from tierce.spec import Event
from tierce.volume.statistics import StatisticsPage


def make_page(process: Process, volume: str, uuid: str, member: str = "") -> StatisticsPage:
    """Make the page of a target, or of a member; it goes on from what the process before has
    counted. Where that can't be read, it is told that the counters begin at zero."""
    path, later = process.paths.page(volume, member), process.reactor.call_later
    page = StatisticsPage.create(path, uuid, process.boot_id, later)
    if page.begins_anew:
        text = f"its counters begin at zero: {page.begins_anew}"
        subject = f"volume/{volume}/{member}" if member else f"volume/{volume}"
        process.emit(Event("volume.statistics-anew", text, subject, "info"))
    return page
