"""The events that core itself emits; plugins declare theirs by `tierce_events`.

A code that is told is declared, and a code that is declared is told: a test reads the code for
both. docs/reference/events.md is written from here.
"""

from __future__ import annotations

from tierce.descriptions import CONTRACT, EventDescription
from tierce.spec import Severity

_LOG = "read what the event names in the log of the process"
_AUTHOR = "tell the plugin's author; the process's log has the traceback"


def _event(code: str, severity: Severity, summary: str, todo: str = "") -> EventDescription:
    return EventDescription(
        code=code, severity=severity, summary=summary, todo=todo, contract=CONTRACT
    )


_INFO, _WARNING, _ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR

_VOLUMES = (
    _event("volume.created", _INFO, "A volume was made."),
    _event("volume.deleted", _INFO, "A volume and its bytes are gone."),
    _event(
        "volume.delete-waits",
        _WARNING,
        "A deletion waits: nothing goes before all of it says that it is deleted.",
        "bring back what it waits for, or leave it out with `--without`; `--cancel` keeps it",
    ),
    _event(
        "volume.work-waits",
        _WARNING,
        "What an engine is asked to do for a volume takes long; all others are served meanwhile.",
        "look at what the event names; `tierce volume delete NAME` gives it up, as does to end its "
        "process",
    ),
    _event(
        "volume.not-spared",
        _ERROR,
        "A deletion was taken back, and not everything could be kept.",
        "look at what the event names",
    ),
    _event(
        "volume.left-over",
        _WARNING,
        "Something of a volume that was not made is still there.",
        "remove what the event names, or start the server again",
    ),
    _event(
        "volume.left-out",
        _WARNING,
        "A volume is no longer in the config file: it is not served, and its bytes stay.",
        "put it back, or remove it: `tierce volume delete NAME`",
    ),
    _event("volume.kept", _INFO, "A volume was to be deleted and is kept."),
    _event("volume.owner-changed", _INFO, "The config file owns a volume now, or no longer."),
    _event(
        "volume.adopted-with-loss",
        _WARNING,
        "A volume was taken back from its folders, and may lack something.",
        "check what lies on it",
    ),
    _event(
        "volume.loss-accepted",
        _WARNING,
        "An operator has let a volume go on though something of it may be lost.",
    ),
    _event(
        "volume.refused",
        _ERROR,
        "A volume can't be served, or not with its new settings; it keeps the old ones.",
        "mend what the event names and reload",
    ),
    _event(
        "volume.settings-wait",
        _WARNING,
        "New settings of a volume wait.",
        "look at what they wait for",
    ),
    _event("volume.reconfigured", _INFO, "A part has taken other live options."),
    _event(
        "volume.reconfigure-refused",
        _ERROR,
        "A part keeps its old live options until its next start.",
        "set options that it takes, or restart the volume",
    ),
    _event("volume.health", _INFO, "A volume's health is another one; see the states."),
    _event(
        "volume.emptied",
        _ERROR,
        "A volume that keeps nothing when its process ends is empty again.",
    ),
    _event(
        "volume.fenced",
        _ERROR,
        "Another writer has taken a volume: it stays down here.",
        "if this server is to have it: `tierce volume claim NAME`",
    ),
    _event(
        "volume.fence-failed",
        _ERROR,
        "That a volume may not be served here could not be recorded.",
        "make the state's folder writable",
    ),
    _event("volume.close-failed", _ERROR, "A volume did not close orderly.", _LOG),
    _event(
        "volume.hold.expired",
        _WARNING,
        "A hold ran out before it was released: what was copied meanwhile may be torn.",
        "copy again",
    ),
    _event(
        "volume.statistics-anew",
        _INFO,
        "The counters of a target or a replica begin at zero: what the process before has left "
        "can't be read, after an upgrade or because it is damaged.",
    ),
    _event(
        "volume.io-failed",
        _ERROR,
        "An I/O was answered with an error, and this is why: once of a kind, then each minute how "
        "many more.",
        "look at what the event names: a disk, its space, or the replicas",
    ),
    _event(
        "volume.io-stuck",
        _ERROR,
        "An I/O has waited for longer than 10 s: in which stage, for whom, how many others with it."
        " One at a time of each stage.",
        "look at whom the event names; `tierce volume show NAME` says how they are",
    ),
    _event(
        "volume.io-moves",
        _INFO,
        "An I/O that was told as stuck is over, and nothing waits there as long any more; "
        "after what time, and how it was answered.",
    ),
    _event(
        "volume.plugin-failed",
        _ERROR,
        "A plugin made a mistake in a volume's target; what it cost was answered as an error.",
        _AUTHOR,
    ),
)

_PROCESSES = (
    _event(
        "node.process.failed",
        _ERROR,
        "A process ended by itself, and says why; it is started again.",
        "mend what it says",
    ),
    _event(
        "node.process.died",
        _ERROR,
        "A process ended without a word, or can't be started; it is tried again.",
        _LOG,
    ),
    _event("node.process.recovered", _INFO, "A process that had failed is up again."),
    _event(
        "node.process.silent",
        _ERROR,
        "A process does not answer.",
        "look at what the event advises",
    ),
    _event("node.process.answers", _INFO, "A process that was silent answers again."),
    _event(
        "node.process.held-up",
        _WARNING,
        "A round of a process's loop took longer than 250 ms, and what ran in it: once, then each "
        "minute how many more. All that the process serves has waited.",
        "a plugin's name: tell its author; else look whether the machine has too little CPU",
    ),
    _event("node.process.killed", _WARNING, "A process did not end in time and was killed."),
    _event("node.process.stopping", _INFO, "A process is asked to stop."),
    _event("node.command.failed", _INFO, "A process could not do what it was told.", _LOG),
    _event(
        "node.template.import-failed",
        _WARNING,
        "What a plugin names can't be imported.",
        "`tierce plugin check NAME`",
    ),
    _event("serve.bug", _ERROR, "A bug in the server cost one thing that it was doing.", _LOG),
    _event("serve.events-left-out", _WARNING, "Events came too fast, and some were left out."),
    _event("event.unreadable", _WARNING, "An event of another version can't be read."),
    _event("log", _ERROR, "A line that a plugin has logged; it is in its process's log only."),
)

_CONFIG = (
    _event("config.reloaded", _INFO, "The config file was read again."),
    _event("config.changed", _INFO, "What a reload has done to one thing."),
    _event(
        "config.refused",
        _ERROR,
        "A reload was refused, in whole or in part; the old settings stay.",
        "mend what the event names: `tierce config check FILE`",
    ),
)

_PORTAL = (
    _event("portal.listening", _INFO, "The portal listens at an address."),
    _event(
        "portal.address-missing",
        _ERROR,
        "The portal can't listen at an address, and tries again.",
        "free the address, or name another one",
    ),
    _event("portal.frontend-failed", _ERROR, "A front end's router can't be started.", _AUTHOR),
    _event("portal.accept-failed", _INFO, "A connection could not be accepted.", _LOG),
    _event("portal.routing-failed", _INFO, "A router failed on a connection.", _AUTHOR),
    _event("portal.handover-failed", _INFO, "A connection could not be given to its target."),
    _event("portal.evicted", _INFO, "A connection that named no volume made room for others."),
    _event("portal.hangup", _INFO, "A router has hung up on a connection, and says why."),
)

_ACTIONS = (
    _event("action.failed", _ERROR, "A part raised while it did an action.", _AUTHOR),
    _event(
        "action.misanswered",
        _ERROR,
        "A part answered an action with something else than it declares, or twice.",
        _AUTHOR,
    ),
    _event("action.misdeclared", _ERROR, "A part's actions are wrong: it has none.", _AUTHOR),
    _event(
        "action.unanswered",
        _WARNING,
        "An action was not answered in time; it may have been done.",
        "look before asking again",
    ),
    _event("action.done", _INFO, "An action that somebody follows was carried out, or was not."),
    _event("policy.acted", _INFO, "A policy had an action carried out."),
    _event("policy.action-failed", _ERROR, "An action of a policy was not done.", "read why"),
    _event("policy.set", _INFO, "A policy sets a live option of a volume."),
    _event("policy.unset", _INFO, "A policy sets an option no more: its own value is back."),
    _event(
        "policy.setting-refused",
        _ERROR,
        "A policy wants something of a volume that it can't set.",
        "read why, and change the document or its handler",
    ),
    _event("policy.failed", _ERROR, "A policy handler raised, hangs or returns nonsense.", _AUTHOR),
    _event(
        "plugin.listener-behind",
        _WARNING,
        "A plugin listens more slowly than events come, and misses some.",
        _AUTHOR,
    ),
    _event(
        "plugin.listener-failed",
        _ERROR,
        "A plugin's listener failed, and hears of nothing until the next start.",
        _AUTHOR,
    ),
)

CORE_EVENTS = (*_VOLUMES, *_PROCESSES, *_CONFIG, *_PORTAL, *_ACTIONS)
