"""What the portal is told, and where users are led: with a portal that is not there."""

from __future__ import annotations

from typing import Any

from core.served import Served, while_serving
from serving.volumes import file, memory
from tierce.process.messages import Message
from tierce.supervision.children import RECONNECT_S


def told(served: Served, verb: str) -> list[Message]:
    return [one for one in served.machine.program("portal").heard if one["do"] == verb]


def trouble(served: Served) -> str:
    return served.supervisor.router.unreachable_why("iscsi")


@while_serving(memory())
def test_nothing_is_told_twice(served: Served) -> None:
    before = len(told(served, "route"))
    served.supervisor.look()
    served.reactor.turn()
    assert len(told(served, "route")) == before
    assert len(told(served, "open")) == 1


@while_serving(memory(), file("other"))
def test_a_volume_that_goes_is_unrouted(served: Served) -> None:
    served.write(memory())
    served.supervisor.reload()
    served.reactor.turn()
    (message,) = told(served, "unroute")
    assert (message["volume"], message["frontend"]) == ("other", "iscsi")


@while_serving(memory(), file("other"))
def test_a_new_portal_is_told_everything_then_that_it_may_accept(served: Served) -> None:
    served.machine.program("portal").end()
    served.reactor.turn()
    served.reactor.advance(0.125)
    verbs = [one["do"] for one in served.machine.program("portal").heard if one["do"] != "ping"]
    assert verbs == ["route", "route", "open"]
    assert all(one["is_up"] for one in told(served, "route"))


@while_serving(memory())
def test_a_volume_is_told_to_be_reachable_only_when_the_portal_knows(served: Served) -> None:
    served.machine.keeps.add("route")
    served.write(memory(), file("late"))
    served.supervisor.reload()
    served.reactor.turn()
    assert served.child("target.late").phase == "up"
    assert "\nvolume late: " not in served.out.getvalue()
    served.machine.program("portal").answer_late("route", ok={})
    served.reactor.turn()
    assert "\nvolume late: " in served.out.getvalue()


@while_serving(memory())
def test_a_portal_that_hangs_up_while_it_is_told_breaks_nothing_and_nobody_is_called_reachable(
    served: Served,
) -> None:
    served.write(memory(), file("late"), file("later"))
    served.supervisor.reload()
    served.machine.program("portal").hang_up()
    # The supervisor has not seen it yet: the first message to it fails.
    served.supervisor.router.update()
    served.reactor.turn()
    assert "a bug in Tierce" not in served.out.getvalue()
    served.reactor.advance(RECONNECT_S)
    assert {"late", "later"} <= {one["volume"] for one in told(served, "route")}


@while_serving(memory())
def test_why_nobody_can_log_in_is_said(served: Served) -> None:
    portal = served.machine.program("portal")
    assert trouble(served) == ""
    portal.show(missing={"iscsi": {"10.0.0.1:3260": "waits for 10.0.0.1"}})
    served.reactor.turn()
    assert trouble(served) == "the portal waits for 10.0.0.1"
    portal.show(listening={})
    served.reactor.turn()
    assert trouble(served) == "the portal listens nowhere; waits for 10.0.0.1"
    served.child("portal").pulse.is_told = True
    assert trouble(served) == "the portal does not answer"
    portal.habits.last_words = "no such module"
    portal.end()
    served.reactor.turn()
    served.reactor.advance(0.125)
    assert trouble(served) == "the portal does not run: no such module"


@while_serving(memory())
def test_the_first_address_of_the_file_is_shown_first(served: Served) -> None:
    def usage() -> dict[str, Any]:
        found: dict[str, Any] = served.ask("show", name="demo")[0]["ok"]["usage"]
        return found

    assert usage()["url"].startswith("iscsi://127.0.0.1:3260/")
    served.machine.program("portal").show(listening={"iscsi": {}})
    served.reactor.turn()
    assert usage()["url"] == "(not known yet: its portal listens nowhere)"
