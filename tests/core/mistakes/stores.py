"""A stranger's store under jiva's replicator, with three replicas in one process."""

from __future__ import annotations

from core.mistakes.trial import Trial
from jiva.device_site import Site
from tierce import Op, Request, StoreChoice
from tierce.process.plan import Plan, Role
from tierce_jiva.device import open_device


def store_told(trial: Trial, mistake: str) -> str:
    """Return what is told of a replica whose store makes a mistake while a volume is used."""
    kind, options = trial.module.Store, trial.module.Options

    def use() -> None:
        choice = StoreChoice("store", kind)
        site = Site(trial.folder, store=choice, store_options=options(mistake=mistake))
        device = open_device(site.context())
        try:
            for op in (Op.WRITE, Op.FLUSH, Op.READ):
                length = 0 if op is Op.FLUSH else 4096
                buffer = memoryview(bytearray(length)) if length else None
                request = Request(op, 0, length, buffer)
                device.submit([request], lambda _completed: None)
                site.until(lambda request=request: request.status is not None)  # type: ignore[misc]
        finally:
            device.close(lambda _status: None)
            for process in site.processes.values():
                process.close(lambda: None)

    return trial.started(Plan("member.demo.replica-1", Role.MEMBER, "demo"), use)
