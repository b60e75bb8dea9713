"""Makes every process of a server see as much as it is told: Python reads this when it starts,
where this folder is in PYTHONPATH.

``TIERCE_BENCH_EVERY`` is "off", or one in how many I/Os is followed.
"""

import os

_EVERY = os.environ.get("TIERCE_BENCH_EVERY", "")

if _EVERY:
    from tierce.tracing import Tracer
    from tierce.volume.statistics import StatisticsPage
    from tierce_jiva.trips import UNCOUNTED

    write, left_out, _every, slow_ns, wall_ns = Tracer.__init__.__defaults__ or ()
    if _EVERY == "off":
        following = Tracer.__init__

        def follow_nobody(tracer: Tracer, *_given: object) -> None:
            """Begin as one that writes nothing down."""
            following(tracer)

        Tracer.__init__ = follow_nobody  # type: ignore[assignment, method-assign]
        StatisticsPage.stage = lambda _page, _name: UNCOUNTED  # type: ignore[assignment, method-assign, return-value]
    else:
        Tracer.__init__.__defaults__ = (write, left_out, int(_EVERY), slow_ns, wall_ns)
