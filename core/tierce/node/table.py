"""From a plan to the running thing: the table of roles."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from tierce.node.member import start_member
from tierce.node.policies import start_policies
from tierce.node.portal import start_portal
from tierce.node.servicing import start_service
from tierce.node.target import start_target
from tierce.node.working import start_working
from tierce.process.paths import Paths
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Body, Process
from tierce.registry import Registry, culprit

_START: Mapping[Role, Callable[[Process, Registry], Body]] = {
    Role.PORTAL: start_portal,
    Role.TARGET: start_target,
    Role.MEMBER: start_member,
    Role.SERVICE: start_service,
    Role.POLICIES: start_policies,
    Role.WORK: start_working,
}


def run_role(paths: Paths, plan: Plan, registry: Registry, connection: socket.socket | None) -> int:
    """Be the process of this plan until it ends; return its exit code.

    Raises:
        ConflictError: A process of this name is alive.
    """
    process = Process(paths, plan, connection)
    return process.run(
        lambda: _START[plan.role](process, registry), lambda error: culprit(registry, error)
    )
