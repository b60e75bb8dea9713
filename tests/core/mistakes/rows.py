"""Every mistake that was tried: who makes it, what its user reads and where, and how soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from core.mistakes.settings import setting_told
from core.mistakes.stores import store_told
from core.mistakes.trial import Trial
from core.mistakes.works import adopted, ended, unreturned
from tierce import (
    Concurrency,
    EngineDescription,
    FilterDescription,
    Flag,
    FrontendDescription,
    Op,
    Scope,
    ServiceDescription,
    hookimpl,
    option,
)
from tierce.process.works import Call

CHECK = "`config check`, `plugin explain`"
CONFIG = "`config check`"
SERVE = "`serve`, event, `volume show`"
EVENT = "event, log, `volume show`"
TOLD = "event"
LOG = "log of the process"
AT_CHECK = "at config check"
AT_START = "when the volume starts"
AT_ONCE = "at once"
IN_TEN = "within 10 s"
PLUGIN = "the plugin"
VOLUME = "its volume is not served"
REQUESTS = "the requests"
NOTHING = "nothing"


@attrs.frozen
class Row:
    """One mistake.

    Attributes:
        part: Who makes it.
        mistake: What it is.
        where: Where its user reads of it.
        soon: How soon.
        costs: What it costs, and nothing else.
        trial: Makes it, and returns what is read.
    """

    part: str
    mistake: str
    where: str
    soon: str
    costs: str
    trial: Callable[[Trial], str]


ENGINE: dict[str, Any] = {"name": "e", "summary": "E.", "factory": "tierce_mistaken:engine"}


def engines(**fields: Any) -> Any:
    """A hook that returns one engine with these fields."""
    return hookimpl(lambda: [EngineDescription(**{**ENGINE, "contract": 2, **fields})])


def raising(error: BaseException) -> Any:
    """A hook, or a listener, that raises."""

    def fail(*_arguments: Any) -> Any:
        raise error

    return fail


async def promised() -> list[Any]:
    return []


@attrs.frozen
class Untyped:
    thing: object = option(doc="Anything.", default=None)


@attrs.frozen
class Selecting:
    selector: str = option(doc="Whom.", default="")


def brought(mistake: str, **hooks: Any) -> Row:
    """A mistake in what a plugin says that it brings."""
    return Row("declaring", mistake, CHECK, AT_CHECK, PLUGIN, lambda trial: trial.declared(**hooks))


def factory(mistake: str, reference: str, source: str = "") -> Row:
    """A factory that leads nowhere."""

    def trial(trial: Trial) -> str:
        (trial.folder / "mistaken_module.py").write_text(source)
        # What hangs is not waited for as long here.
        return trial.imports(reference, *([0.5] if "sleep" in source else []))

    soon = f"{AT_CHECK}, and before `serve` serves"
    return Row("factory", mistake, f"{CONFIG}, `serve`, event", soon, VOLUME, trial)


FILTER: dict[str, Any] = {
    "name": "f",
    "summary": "F.",
    "factory": "tierce_mistaken:Over",
    "operations": frozenset({"READ", "WRITE", "FLUSH"}),
    "contract": 2,
}
SERVICE: dict[str, Any] = {
    "name": "s",
    "summary": "S.",
    "factory": "tierce_mistaken:service",
    "options": Selecting,
    "scope": Scope.VOLUME,
    "contract": 2,
}
SIMPLY: dict[str, Any] = {"concurrency": Concurrency.SERIAL}
FRONT: dict[str, Any] = {
    "name": "w",
    "summary": "W.",
    "factory": "tierce_mistaken:front",
    "contract": 2,
    **dict.fromkeys(("router", "usage", "identity"), "tierce_mistaken:usage"),
}

DECLARING = [
    brought("text for an enum", engines=engines(concurrency="serial")),
    brought("a newer contract", engines=engines(contract=3)),
    brought("an older contract", engines=engines(contract=1)),
    brought("no contract", engines=hookimpl(lambda: [EngineDescription(**ENGINE)])),
    brought("a name of 64 letters", engines=engines(name="e" * 64)),
    brought("a name that YAML would read otherwise", engines=engines(name="1 e")),
    brought("an empty summary", engines=engines(summary=" ")),
    brought("a factory that is no `module:name`", engines=engines(factory="engine")),
    brought("an option of a type that no file can hold", engines=engines(options=Untyped)),
    brought("a store without a replicator", engines=engines(store="s")),
    brought("a hook that raises", engines=hookimpl(raising(KeyError("table")))),
    brought("a hook that exits", engines=hookimpl(raising(SystemExit(3)))),
    brought("a hook that returns text", engines=hookimpl(lambda: "engine")),
    brought("a hook that returns something else", engines=hookimpl(lambda: [Concurrency.INLINE])),
    brought("a hook that is an `async def`", engines=hookimpl(promised)),
    brought("a misspelt hook", enginez=engines()),
    brought("a hook without its mark", engines=raising(KeyError("table"))),
    brought("no hook at all"),
    brought(
        "a filter that does not know READ",
        filters=hookimpl(lambda: [FilterDescription(**{**FILTER, "operations": frozenset()})]),
    ),
    brought(
        "a filter that names an operation that is none",
        filters=hookimpl(
            lambda: [FilterDescription(**{**FILTER, "operations": FILTER["operations"] | {"TRIM"}})]
        ),
    ),
    brought(
        "a front end without `listen`, for which the portal is to listen",
        frontends=hookimpl(lambda: [FrontendDescription(**FRONT)]),
    ),
    brought(
        "a service of volumes with an option `selector`",
        services=hookimpl(lambda: [ServiceDescription(**SERVICE)]),
    ),
    Row(
        *("declaring", "its module raises when it is imported", CHECK, AT_CHECK, PLUGIN),
        lambda trial: trial.imported(KeyError("table")),
    ),
    Row(
        *("declaring", "its module exits when it is imported", CHECK, AT_CHECK, PLUGIN),
        lambda trial: trial.imported(SystemExit(3)),
    ),
    factory("names nothing", "mistaken_module:Engine"),
    factory("its module raises", "mistaken_module:Engine", "import nowhere_at_all\n"),
    factory("its module ends the process", "mistaken_module:Engine", "import os; os._exit(7)\n"),
    factory("its module hangs", "mistaken_module:Engine", "import time; time.sleep(600)\n"),
    Row(
        *("options", "`check` raises", CONFIG, AT_CHECK, VOLUME),
        lambda trial: trial.checked(mistake="check: raises"),
    ),
    Row(
        *("options", "`check` exits", CONFIG, AT_CHECK, VOLUME),
        lambda trial: trial.checked(mistake="check: exits"),
    ),
]


def lifecycle(mistake: str, costs: str, ask: Callable[[Trial], str], soon: str = AT_START) -> Row:
    return Row("lifecycle", mistake, SERVE, soon, costs, ask)


LIFECYCLES = [
    Row(
        *("lifecycle", "derived from something else", CONFIG, AT_CHECK, VOLUME),
        lambda trial: trial.checked(engine="mistaken-life"),
    ),
    *(
        Row(
            *("lifecycle", f"`members` {what}", CONFIG, AT_CHECK, VOLUME),
            lambda trial, what=what: trial.checked(mistake=f"members: {what}"),  # type: ignore[misc]
        )
        for what in ("raises", "exits", "is async", "returns text")
    ),
    *(
        lifecycle(
            f"`create` {what}",
            VOLUME,
            lambda trial, what=what: trial.refused(mistake=f"create: {what}"),  # type: ignore[misc]
        )
        for what in ("raises", "exits", "is async")
    ),
    lifecycle(
        "`check_change` raises",
        "the volume keeps the options that it had",
        lambda trial: trial.changed(mistake="check_change: raises"),
        "at reload",
    ),
    lifecycle(
        "`condemn` raises",
        "the volume is not deleted",
        lambda trial: trial.deleted(mistake="condemn: raises"),
        AT_ONCE,
    ),
    *(
        Row(
            *("lifecycle", f"`{call.value}` hangs", EVENT, "after 5 s", costs),
            lambda trial, call=call: unreturned(trial, call),  # type: ignore[misc]
        )
        for call, costs in (
            (Call.CREATE, VOLUME),
            (Call.CONDEMN, "the deletion waits, until it is begun anew or taken back"),
            (Call.CHECK_CHANGE, "the volume keeps the options that it had"),
        )
    ),
    lifecycle(
        "`create` ends its process",
        VOLUME,
        lambda trial: ended(trial, Call.CREATE),
    ),
    lifecycle(
        "`empty` ends its process",
        "the deletion waits, and is tried again",
        lambda trial: ended(trial, Call.EMPTY),
        AT_ONCE,
    ),
    Row(
        *("lifecycle", "`adopt` exits", "`volume adopt`", AT_ONCE, "nothing is adopted"),
        lambda trial: adopted(trial, "exits"),
    ),
]


def apart(mistake: str) -> dict[str, Any]:
    return {"engine": "mistaken-members", "options": {"mistake": mistake}}


NO_OTHER = "its volume is not served; its other members are undone"

MEMBER_LIFECYCLES = [
    Row(
        *("members' lifecycle", "`create_member` missing", CONFIG, AT_CHECK, VOLUME),
        lambda trial: trial.checked(engine="mistaken-few"),
    ),
    *(
        Row(
            *("members' lifecycle", f"`create_member` {what}", SERVE, AT_START, NO_OTHER),
            lambda trial, what=what: trial.refused(**apart(f"create_member of two: {what}")),  # type: ignore[misc]
        )
        for what in ("raises", "exits", "is async")
    ),
    Row(
        *("members' lifecycle", "`create_member` hangs", EVENT, "after 5 s"),
        "its volume is not served; its other members are made",
        lambda trial: unreturned(trial, Call.CREATE_MEMBER),
    ),
    Row(
        *("members' lifecycle", "`create_member` ends its process", SERVE, AT_START, NO_OTHER),
        lambda trial: ended(trial, Call.CREATE_MEMBER),
    ),
    Row(
        *("members' lifecycle", "`condemn_member` raises", SERVE, AT_ONCE),
        "the volume is not deleted; its other members are spared",
        lambda trial: trial.deleted(**apart("condemn_member of two: raises")),
    ),
    *(
        Row(
            *("members' lifecycle", f"`adopt_member` {what}", "`volume adopt`", AT_ONCE),
            "nothing is adopted",
            lambda trial, what=what: adopted(trial, what, "mistaken-members"),  # type: ignore[misc]
        )
        for what in ("exits", "returns text")
    ),
    Row(
        *("members' lifecycle", "`adopt_found` names no volume", "`volume adopt`", AT_ONCE),
        "nothing is adopted",
        lambda trial: adopted(trial, "all", "mistaken-members"),
    ),
]


def opening(part: str, title: str, **volume: Any) -> Row:
    """A mistake that keeps a volume from being opened."""
    return Row(part, title, SERVE, AT_START, VOLUME, lambda trial: trial.opened(**volume))


def simple(mistake: str, title: str) -> Row:
    return opening("engine", title, mistake=mistake)


def batch_options(mistake: str) -> dict[str, Any]:
    return {"engine": "mistaken-batches", "options": {"mistake": mistake}}


def batches(mistake: str, title: str) -> Row:
    return opening("engine (batches)", title, **batch_options(mistake))


def simple_io(mistake: str, title: str, op: Op = Op.READ) -> Row:
    return Row(
        *("engine", title, EVENT, AT_ONCE, REQUESTS),
        lambda trial: trial.told(op, mistake=mistake),
    )


def batch_io(mistake: str, title: str, costs: str = REQUESTS) -> Row:
    return Row(
        *("engine (batches)", title, EVENT, AT_ONCE, costs),
        lambda trial: trial.told(**batch_options(mistake)),
    )


def ending(part: str, title: str, soon: str = AT_ONCE, **volume: Any) -> Row:
    return Row(part, title, EVENT, soon, "it counts as closed", lambda t: t.closed(**volume))


ENGINES = [
    simple("making: raises", "its factory raises"),
    simple("making: exits", "its factory exits"),
    simple("read: is async", "`read` is an `async def`"),
    simple("write: missing", "no `write`"),
    simple("submit: there", "takes batches and does not say so"),
    simple("geometry: smaller", "smaller than the volume"),
    simple("geometry: other block", "another block than the volume"),
    simple("geometry: none", "a number for its geometry"),
    simple_io("read: raises", "`read` raises what is no OSError"),
    simple_io("read: exits", "`read` exits"),
    simple_io("read: returns bytes", "`read` returns the bytes"),
    simple_io("write: is async", "`write` returns a coroutine", Op.WRITE),
    simple_io("flush: raises", "`flush` raises", Op.FLUSH),
    simple_io("extents: raises", "`extents` raises", Op.BLOCK_STATUS),
    simple_io("extents: gap", "`extents` leaves a gap", Op.BLOCK_STATUS),
    ending("engine", "`close` raises", mistake="close: raises"),
    ending("engine", "`close` exits", mistake="close: exits"),
    batches("submit: is async", "`submit` is an `async def`"),
    batches("submit: missing", "no `submit`"),
    batches("capabilities: none", "no capabilities"),
    batches("capabilities: text", "text for its capabilities"),
    batch_io("submit: raises", "`submit` raises"),
    batch_io("submit: exits", "`submit` exits"),
    batch_io("submit: returns text", "`submit` returns something"),
    batch_io("status: text", "a status that is none"),
    batch_io("completes: from within", "completes a request from within `submit`", NOTHING),
    Row(
        *("engine (batches)", "completes a request twice", EVENT, AT_ONCE, NOTHING),
        lambda trial: trial.late("twice"),
    ),
    Row(
        *("engine (batches)", "never completes a request", EVENT, "after 10 s", REQUESTS),
        lambda trial: trial.hung(**batch_options("completes: never")),
    ),
    Row(
        *("engine (batches)", "`when_quiet` raises", EVENT, AT_ONCE, "nothing is promised"),
        lambda trial: trial.unquiet("when_quiet: raises"),
    ),
    Row(
        *("engine (batches)", "another shape that is none", EVENT, AT_ONCE, "its shape stays"),
        lambda trial: trial.grown(options={"mistake": "resized: text"}),
    ),
    ending("engine (batches)", "`close` raises", **batch_options("close: raises")),
    ending("engine (batches)", "`close` exits", **batch_options("close: exits")),
    Row(
        *("engine (batches)", "`close` never says that it has closed", EVENT, IN_TEN),
        "its target is killed",
        lambda trial: trial.closed(**batch_options("close: never says so")),
    ),
]


def over(mistake: str) -> dict[str, Any]:
    return {"engine": "memory", "filters": [{"name": "mistaken", "mistake": mistake}]}


def filter_io(mistake: str, title: str, costs: str = REQUESTS) -> Row:
    return Row(*("filter", title, EVENT, AT_ONCE, costs), lambda trial: trial.told(**over(mistake)))


FILTERS = [
    opening("filter", "its factory raises", **over("making: raises")),
    opening("filter", "its factory exits", **over("making: exits")),
    filter_io("submit: raises", "`submit` raises"),
    filter_io("submit: exits", "`submit` exits"),
    filter_io("submit after passing on: raises", "`submit` raises after it has passed on", NOTHING),
    filter_io("completes: twice", "completes a request twice", NOTHING),
    Row(
        *("filter", "never completes a request", EVENT, "after 10 s", REQUESTS),
        lambda trial: trial.hung(**over("completes: never")),
    ),
    Row(
        *("filter", "`resized` raises", EVENT, AT_ONCE, "its shape stays"),
        lambda trial: trial.grown(
            options={}, filters=[{"name": "mistaken", "mistake": "resized: raises"}]
        ),
    ),
]


def simply(mistake: str, name: str = "mistaken-simply") -> dict[str, Any]:
    return {"engine": "memory", "filters": [{"name": name, "mistake": mistake}]}


FILTERS += [
    brought(
        "a filter of the simple level that knows a flag",
        filters=hookimpl(lambda: [FilterDescription(**FILTER, **SIMPLY, flags=Flag.FUA)]),
    ),
    brought(
        "a filter that is `PARALLEL`",
        filters=hookimpl(
            lambda: [FilterDescription(**FILTER, concurrency=Concurrency.PARALLEL)],
        ),
    ),
    opening("filter (simple)", "its factory raises", **simply("making: raises")),
    opening("filter (simple)", "`read` is an `async def`", **simply("read: is async")),
    opening("filter (simple)", "derived from something else", **simply("submit: there")),
    opening("filter (simple)", "does not say that it is", **simply("", "mistaken-level")),
    *(
        Row(
            *("filter (simple)", title, EVENT, AT_ONCE, REQUESTS),
            lambda trial, mistake=mistake: trial.told(**simply(mistake)),  # type: ignore[misc]
        )
        for mistake, title in (
            ("read: raises", "`read` raises"),
            ("read: exits", "`read` exits"),
            ("read: returns bytes", "`read` returns bytes"),
            ("read: asks for what is not there", "asks below for what is no extent"),
        )
    ),
]


def replicated(store: str, mistake: str = "") -> dict[str, Any]:
    replicas = [{"folder": f"./replica-{index}"} for index in range(3)]
    options = {"store_options": {"mistake": mistake}} if mistake else {}
    return {"engine": f"mistaken-{store}", "options": {"replicas": replicas}, **options}


def stored(method: str, title: str, costs: str, mistake: str = "raises") -> Row:
    return Row(
        *("store", title, "event, log", AT_ONCE, costs),
        lambda trial: store_told(trial, f"{method}: {mistake}"),
    )


REPLICA = "the replica starts anew, and the volume goes on with the others"
STORES = [
    Row(
        *("store", "lacks methods", CONFIG, AT_CHECK, VOLUME),
        lambda trial: trial.checked(**replicated("half")),
    ),
    Row(
        *("store", "derived from something else", CONFIG, AT_CHECK, VOLUME),
        lambda trial: trial.checked(**replicated("other")),
    ),
    Row(
        *("store", "declares what it has no method for", CONFIG, AT_CHECK, VOLUME),
        lambda trial: trial.checked(**replicated("boast")),
    ),
    Row(
        *("store", "`open_record` raises", SERVE, AT_START, VOLUME),
        lambda trial: trial.refused(**replicated("store", "open_record: raises")),
    ),
    *(
        Row(
            *("store", f"`create` {what}", SERVE, AT_START, VOLUME),
            lambda trial, what=what: trial.refused(**replicated("store", f"create: {what}")),  # type: ignore[misc]
        )
        for what in ("raises", "exits")
    ),
    stored("open", "`open` raises", "the replica does not start"),
    stored("settle", "`Opening.settle` with what is no store", REPLICA, "text"),
    stored("settle", "`Opening.settle` twice", REPLICA, "twice"),
    stored("admit", "`admit` raises what is no OSError", REPLICA),
    stored("write", "`write` raises what is no OSError", REPLICA),
    stored("read", "`read` raises what is no OSError", REPLICA),
    stored("flush", "`flush` raises what is no OSError", REPLICA),
]
MEMBERS = [
    Row(
        *("member", title, "event, log, `volume show`", AT_ONCE, "the member starts anew"),
        lambda trial, mistake=mistake: trial.member(mistake),  # type: ignore[misc]
    )
    for mistake, title in (
        ("making: raises", "its factory raises"),
        ("making: exits", "its factory exits"),
        ("call: raises", "a timer of its own raises"),
        ("call: exits", "a timer of its own exits"),
    )
]


def front(mistake: str) -> dict[str, Any]:
    return {
        "engine": "memory",
        "frontend": "mistaken",
        "frontend_options": {"mistake": mistake},
    }


CONNECTION = "that connection"
FRONTS = [
    opening("front end", "its factory raises", **front("making: raises")),
    opening("front end", "its factory exits", **front("making: exits")),
    opening("front end", "no `close`", **front("close: missing")),
    opening("front end", "`adopt` is an `async def`", **front("adopt: is async")),
    *(
        Row(
            *("front end", f"`adopt` {what}", LOG, AT_ONCE, CONNECTION),
            lambda trial, what=what: trial.adopted(f"adopt: {what}"),  # type: ignore[misc]
        )
        for what in ("raises", "exits")
    ),
    Row(
        *("front end", "`resized` raises", TOLD, AT_ONCE, NOTHING),
        lambda trial: trial.grown(
            options={},
            frontend="mistaken",
            frontend_options={"mistake": "resized: raises"},
        ),
    ),
    ending("front end", "`close` raises", **front("close: raises")),
    ending("front end", "`close` exits", **front("close: exits")),
    Row(
        *("front end", "`close` never says that it has closed", TOLD, IN_TEN),
        "its target is killed",
        lambda trial: trial.closed(**front("close: never says so")),
    ),
    Row(
        *("front end", "`abandon` raises", TOLD, AT_ONCE, NOTHING),
        lambda trial: trial.fenced(**front("abandon: raises")),
    ),
    *(
        Row(
            *("front end", f"`identity` {what}", CONFIG, AT_CHECK, VOLUME),
            lambda trial, what=what: trial.checked(**front(f"identity: {what}")),  # type: ignore[misc]
        )
        for what in ("raises", "exits")
    ),
    *(
        Row(
            *("connection router", title, LOG, soon, CONNECTION),
            lambda trial, mistake=mistake: trial.routed(mistake),  # type: ignore[misc]
        )
        for mistake, title, soon in (
            ("making a router: raises", "its factory raises", AT_ONCE),
            ("making a router: exits", "its factory exits", AT_ONCE),
            ("receive: raises", "`receive` raises", AT_ONCE),
            ("receive: exits", "`receive` exits", AT_ONCE),
            ("receive: is async", "`receive` returns a coroutine", AT_ONCE),
            ("receive: returns text", "`receive` returns text", AT_ONCE),
            ("receive: sends text", "sends text for bytes", AT_ONCE),
            ("receive: hands over nothing", "hands over without a state", AT_ONCE),
            ("receive: hangs", "`receive` hangs", IN_TEN),
        )
    ),
]

MANAGED = [
    *(
        Row(
            *("actions", title, "event, log", AT_START, "the part has no actions"),
            lambda trial, mistake=mistake: trial.undeclared(mistake),  # type: ignore[misc]
        )
        for mistake, title in (
            ("actions: raises", "`actions` raises"),
            ("actions: exits", "`actions` exits"),
            ("actions: returns text", "`actions` returns text"),
        )
    ),
    *(
        Row(
            *("actions", title, "event, log, who asked", AT_ONCE, "that call"),
            lambda trial, mistake=mistake: trial.acted(mistake),  # type: ignore[misc]
        )
        for mistake, title in (
            ("manage: raises", "`manage` raises"),
            ("manage: exits", "`manage` exits"),
            ("manage: is async", "`manage` returns a coroutine"),
            ("manage: answers twice", "answers twice"),
            ("manage: answers text", "answers with another class"),
        )
    ),
    *(
        Row(
            *("actions (`SERIAL`)", title, "event, log, who asked", AT_ONCE, "that call"),
            lambda trial, mistake=mistake: trial.acted(mistake, "mistaken-serial"),  # type: ignore[misc]
        )
        for mistake, title in (
            ("manage: raises", "`manage` raises on its own thread"),
            ("manage: is async", "`manage` returns a coroutine there"),
            ("manage: answers twice", "answers twice from there"),
        )
    ),
    Row(
        *("live options (`SERIAL`)", "`reconfigure` raises on its own thread", EVENT, "at reload"),
        *("its options stay",),
        lambda trial: trial.reconfigured(
            *("options", "mistaken-serial"),
            engine="mistaken-serial",
            options={"mistake": "reconfigure: raises"},
        ),
    ),
    Row(
        *("live options", "`reconfigure` raises", EVENT, "at reload", "its options stay"),
        lambda trial: trial.reconfigured(
            "options", "mistaken-batches", **batch_options("reconfigure: raises")
        ),
    ),
    Row(
        *("live options", "no `reconfigure`", EVENT, "at reload", "its options stay"),
        lambda trial: trial.reconfigured("options", "mistaken"),
    ),
    Row(
        *("live options", "`reconfigure_volume` exits", EVENT, "at reload", "its options stay"),
        lambda trial: trial.reconfigured(
            "frontend_options", "mistaken", **front("reconfigure_volume: exits")
        ),
    ),
]

PROCESS = "the service starts anew"
DOCUMENT = "that document, for a minute"
SIDES = [
    *(
        Row(
            *("service", title, "event, log", AT_ONCE, PROCESS),
            lambda trial, mistake=mistake: trial.served(mistake),  # type: ignore[misc]
        )
        for mistake, title in (
            ("making: raises", "its factory raises"),
            ("making: exits", "its factory exits"),
            ("run: missing", "no `run`"),
            ("run: is async", "`run` is an `async def`"),
            ("run: raises", "`run` raises"),
            ("run: exits", "`run` exits"),
            ("run: returns", "`run` returns before it is to stop"),
        )
    ),
    Row(
        *("service of a volume", "`run` raises", "event, log, `volume show`", AT_ONCE),
        *("that volume's process of it starts anew", lambda t: t.served("run: raises", "demo")),
    ),
    *(
        Row(
            *("policy handler", title, "event, log", soon, DOCUMENT),
            lambda trial, mistake=mistake: trial.evaluated(mistake),  # type: ignore[misc]
        )
        for mistake, title, soon in (
            ("evaluate: raises", "raises", AT_ONCE),
            ("evaluate: exits", "exits", AT_ONCE),
            ("evaluate: is async", "returns a coroutine", AT_ONCE),
            ("evaluate: returns text", "returns text", AT_ONCE),
            ("evaluate: next_at is no number", "`next_at` is no number", AT_ONCE),
            ("evaluate: wants text", "wants text done", AT_ONCE),
            ("evaluate: sets text", "sets text for parts of a volume", AT_ONCE),
            ("evaluate: sets what it does not select", "sets a volume of others", AT_ONCE),
            ("evaluate: hangs", "hangs", IN_TEN),
        )
    ),
    *(
        Row(
            *("policy handler", title, "event", AT_ONCE, "that option is not set"),
            lambda trial, mistake=mistake: setting_told(trial, mistake),  # type: ignore[misc]
        )
        for mistake, title in (
            ("evaluate: sets what is not live", "sets an option that is not live"),
            ("evaluate: sets nonsense", "sets an option to what it can't be"),
        )
    ),
    brought("a listener that is an `async def`", event=hookimpl(promised)),
    Row(
        *("listener", "raises", "event, log", AT_ONCE, "it is not called again"),
        lambda trial: trial.heard(raising(KeyError("table"))),
    ),
    Row(
        *("listener", "exits", "event, log", AT_ONCE, "it is not called again"),
        lambda trial: trial.heard(raising(SystemExit(3))),
    ),
    Row(
        *("listener", "is slow or hangs", "event, log"),
        *("after a thousand events", "events that it is not given"),
        Trial.unheard,
    ),
]
ROWS = [
    *(*DECLARING, *LIFECYCLES, *MEMBER_LIFECYCLES, *ENGINES, *FILTERS),
    *(*STORES, *MEMBERS, *FRONTS, *MANAGED, *SIDES),
]
