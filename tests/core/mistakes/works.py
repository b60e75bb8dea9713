"""A lifecycle's call that never comes back, as the server tells of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from core.mistakes.trial import Trial
from tierce import LocalVolume
from tierce.config import volume_from_mapping
from tierce.inventory.adoption import Adoption, adopt_record
from tierce.inventory.errands import run_here
from tierce.inventory.workers import ASKED_S, TOLD_S
from tierce.node.carrying_out import carry_out
from tierce.process.plan import Plan, Role
from tierce.process.works import Call, member_work, work_for
from tierce.server.works import Works
from tierce.state.store import StateStore
from tierce.supervision.child import Child


class OneChild:
    """Processes of which one is started, and answers nothing."""

    def __init__(self) -> None:
        self.child: Child | None = None

    def get(self, _name: str) -> Child | None:
        return self.child

    def start(self, plan: Plan) -> bool:
        self.child = Child(plan, plan.digest, pid=4711, phase="up")
        self.child.peer = cast("Any", SimpleNamespace(ask=lambda *_what: 1))
        return True


class Where:
    """Says where the process is."""

    def __init__(self, method: str) -> None:
        self._method = method

    def ask(self, _name: str, _pidfd: int) -> int:
        return 0

    def read(self, _name: str, _since: int) -> str:
        return f"{self._method} of tierce_mistaken.py, line 1"


def unreturned(trial: Trial, call: Call) -> str:
    """Return what is told of a call that does not return."""
    _asked(trial, call)
    trial.reactor.advance(ASKED_S)
    trial.reactor.advance(TOLD_S - ASKED_S)
    return trial.last()


def ended(trial: Trial, call: Call) -> str:
    """Return why a call has failed that ends its process."""
    works, child, told = _asked(trial, call)
    child.phase = "down"
    works.heard(child)
    return str(told[0])


def adopted(trial: Trial, mistake: str, engine: str = "mistaken") -> str:
    """Return what is said of folders that the engine is asked about."""
    folder = trial.folder / mistake
    folder.mkdir(exist_ok=True)
    paths = trial.process(Plan("serve", Role.PORTAL)).paths
    wanted = Adoption((folder,), engine=engine)
    with StateStore(paths.state) as store:
        try:
            run_here(
                adopt_record(store, trial.registry, wanted),
                lambda work: carry_out(trial.registry, work),
            )
        except Exception as error:  # noqa: BLE001 - that is what is tried
            return str(error)
    raise AssertionError("nothing failed")


def _asked(trial: Trial, call: Call) -> tuple[Works, Child, list[Exception | None]]:
    """Let the call be made in a process."""
    paths = trial.process(Plan("serve", Role.PORTAL)).paths
    children, told = OneChild(), list[Exception | None]()
    works = Works(
        paths,
        trial.reactor,
        cast("Any", children),
        cast("Any", Where(call.method)),
        trial.events.append,
        lambda: trial.reactor.call_soon(works.look),
    )
    works.use(trial.registry)
    is_apart = call.value.endswith("_member")
    engine = "mistaken-members" if is_apart else "mistaken"
    mapping = trial.mapping(engine=engine)
    volume = volume_from_mapping(mapping, trial.registry, base=trial.folder, origin="tierce.yaml")
    local = LocalVolume.of(volume, trial.folder / "own")
    work = member_work(call, local, "two") if is_apart else work_for(call, local)
    works.do(work, lambda _result, error: told.append(error))
    trial.reactor.turn()
    assert children.child is not None
    works.heard(children.child)
    trial.reactor.turn()
    return works, children.child, told
