"""The thread that the reference says of a service and a policy handler is the one that it has."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

from core.fake_process import FakeProcess
from core.threads import Noted
from tierce import (
    Evaluation,
    PolicyHandler,
    PolicyHandlerDescription,
    Service,
    ServiceDescription,
    hookimpl,
)
from tierce.node.policies import PoliciesProcess
from tierce.node.servicing import start_service
from tierce.process.epoll import EpollReactor
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process
from tierce.registry import Registry

MODULE = "sides_that_note_threads"


class Idle(Service):
    def run(self) -> None:
        self.context.wait(3600)


def nothing(_policy: Any, _volumes: Any, _now: float) -> Evaluation:
    return Evaluation()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    @hookimpl
    def tierce_services() -> list[ServiceDescription]:
        factory = f"{MODULE}:service"
        return [ServiceDescription(name="s", summary="S.", factory=factory, contract=2)]

    @hookimpl
    def tierce_policy_handlers() -> list[PolicyHandlerDescription]:
        factory = f"{MODULE}:handler"
        return [PolicyHandlerDescription(kind="k", summary="K.", factory=factory, contract=2)]

    module = ModuleType(MODULE)
    module.__dict__.update(tierce_services=tierce_services)
    module.__dict__.update(tierce_policy_handlers=tierce_policy_handlers)
    monkeypatch.setitem(sys.modules, MODULE, module)
    return Registry.build([("p", module, "")])


def test_a_service_runs_on_a_thread_of_its_own(tmp_path: Path, registry: Registry) -> None:
    noted = Noted()
    sys.modules[MODULE].__dict__["service"] = noted.spied(Idle, Service)
    reactor = EpollReactor()
    plan = Plan("service.s", Role.SERVICE, "", {"service": "s", "options": {}})
    process = FakeProcess(reactor, tmp_path, plan)
    body = start_service(cast("Process", process), registry)
    body.close(reactor.stop)
    reactor.run()
    assert noted.check(Service) == {"Service(...)", "run", "actions"}
    reactor.close()


def test_a_policy_handler_is_called_on_the_main_thread(tmp_path: Path, registry: Registry) -> None:
    noted = Noted()
    assert threading.current_thread() is threading.main_thread()
    sys.modules[MODULE].__dict__["handler"] = noted.function(nothing)
    reactor = EpollReactor()
    process = FakeProcess(reactor, tmp_path, Plan("policies", Role.POLICIES))
    process.close = reactor.stop  # type: ignore[method-assign]
    documents = [{"kind": "k", "name": "d", "parameters": {}, "volumes": {}}]
    process.paths.policies.write_text(json.dumps(documents))
    PoliciesProcess(cast("Process", process), registry, lambda _message, _answered: None)
    reactor.run()
    assert noted.check(PolicyHandler) == {"__call__"}
    reactor.close()
