"""
What a run leaves behind: what the next one must know, and what people are told.

Only a run that came to its end changes what is remembered: a failed one was undone, and one that only
checked has changed nothing.
"""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from lambdas.core.drift import NOT_OURS, Drift
from lambdas.core.memory import Access, Memory
from lambdas.core.status import SiteStatus


class _Part(BaseModel):
    """A part of the execution's state; what this step doesn't need of it is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Lease(_Part):
    """What acquire_lease has returned."""

    site: str
    execution: str
    intent: str
    repair: bool
    purpose: str
    started_at: str
    memory: Memory


class Adoption(_Part):
    """What read_adoption has returned for a provisioned site."""

    enforce: tuple[str, ...]
    pending: tuple[str, ...]
    let_in: tuple[str, ...]
    waits_for: tuple[str, ...]
    waiting: bool
    why: str | None
    # Empty in a run that an older version of the function has begun.
    servers: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


class Reversion(_Part):
    """What read_adoption has returned for a released site."""

    back: bool
    waits_for: tuple[str, ...]
    # Empty in a run that an older version of the function has begun.
    servers: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


class StepResult(_Part):
    """What any step that can drift has returned."""

    drift: tuple[Drift, ...] = ()
    locked: str | None = None


class StepFailure(_Part):
    """The first error, as Step Functions keeps it."""

    Error: str
    Cause: str = ""


class RunState(_Part):
    """The execution's state at its end: which parts there are, tells how far it came."""

    lease: Lease
    bucket: StepResult = StepResult()
    endpoint: StepResult = StepResult()
    policy: StepResult = StepResult()
    adoption: Adoption | None = None
    publication: _Part | None = None
    reversion: Reversion | None = None
    removal: _Part | None = None
    error: StepFailure | None = None

    @property
    def drift(self) -> tuple[Drift, ...]:
        """Everything that was found not to be as it should be."""
        return (*self.bucket.drift, *self.endpoint.drift, *self.policy.drift)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """Which run this was, for whoever looks at the site; `started_at` in UTC."""

    started_at: str
    purpose: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy:
    """What a run leaves: what is remembered, which grants have ended, and what is said."""

    memory: Memory
    ended: tuple[Access, ...]
    status: SiteStatus | None
    last_run: LastRun


def legacy(run: RunState) -> Legacy:
    """Weigh a run's end."""
    lease = run.lease
    before = lease.memory
    last_run = LastRun(started_at=lease.started_at, purpose=lease.purpose, failed=run.error is not None)
    active = tuple(grant for grant in before.grants if grant.expires_at > lease.started_at)
    if run.error is not None:
        return Legacy(memory=before, ended=(), status=_failed(run, run.error), last_run=last_run)
    if not lease.repair:
        return Legacy(memory=before, ended=(), status=None, last_run=last_run)
    ended = tuple(grant for grant in before.grants if grant not in active)
    status = _provisioned(run, active) if run.adoption else _released(run, run.reversion)
    remembered = before.model_copy(
        update={
            "enforced": status.enforced,
            "endpoints": status.let_in,
            "locked": run.policy.locked,
            "grants": active,
            # A grant that is over is taken out of the policy by the hourly run.
            "pending": status.state.endswith("pending")
            or bool(run.adoption and run.adoption.waiting)
            or bool(active),
        }
    )
    return Legacy(memory=remembered, ended=ended, status=status, last_run=last_run)


def _provisioned(run: RunState, grants: tuple[Access, ...]) -> SiteStatus:
    adoption = run.adoption
    if adoption is None:
        raise ValueError("a provisioned site has weighed its reports")
    return SiteStatus(
        state="enforcement pending" if adoption.pending else "enforced",
        intent=run.lease.intent,
        enforced=adoption.enforce,
        pending=adoption.pending,
        pending_since=_pending_since(run) if adoption.pending else None,
        servers=adoption.servers,
        moved=adoption.moved,
        waits_for=adoption.waits_for,
        why=adoption.why,
        let_in=adoption.let_in,
        grants=grants,
        left=tuple(str(drift) for drift in run.drift if drift.why == NOT_OURS),
    )


def _released(run: RunState, reversion: Reversion | None) -> SiteStatus:
    """No grants: their exceptions went with the lock."""
    back = reversion is not None and reversion.back
    return SiteStatus(
        state="released" if back else "release pending",
        intent=run.lease.intent,
        pending_since=None if back else _pending_since(run),
        servers=reversion.servers if reversion else (),
        moved=reversion.moved if reversion else (),
        waits_for=reversion.waits_for if reversion else (),
        let_in=() if back else run.lease.memory.endpoints,
    )


def _failed(run: RunState, error: StepFailure) -> SiteStatus:
    """As it was before: what the run was to grant it has not granted."""
    memory = run.lease.memory
    before = SiteStatus.read(memory.status)
    return SiteStatus(
        state="failed",
        intent=run.lease.intent,
        enforced=memory.enforced,
        let_in=memory.endpoints,
        grants=_grants(memory.status),
        servers=before.servers if before else (),
        moved=before.moved if before else (),
        # An intent that has changed begins a new wait.
        pending_since=before.pending_since if before and before.intent == run.lease.intent else None,
        error=f"{error.Error}: {_message(error.Cause)}"[:1000],
    )


def _pending_since(run: RunState) -> str:
    """When the wait began: with this run, unless the site has waited for the same before."""
    before = SiteStatus.read(run.lease.memory.status)
    if before is None or before.pending_since is None or before.intent != run.lease.intent:
        return run.lease.started_at
    return before.pending_since


def _message(cause: str) -> str:
    """Take the sentence out of what Lambda puts around it."""
    try:
        details = json.loads(cause)
    except ValueError:
        return cause
    return str(details.get("errorMessage", cause)) if isinstance(details, dict) else cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of the product: its detail-type and its detail."""

    kind: str
    detail: dict[str, Any]


def events(run: RunState, left: Legacy, *, tell_unchanged: bool) -> list[Event]:
    """
    Say what is news: nothing, after a run that found everything as it was.

    With `tell_unchanged` every full run says how the site is, the daily one at least: a hub learns that the
    site is still looked after, and what an event that was lost would have told it.
    """
    about = {"site": run.lease.site, "execution": run.lease.execution}
    news = []
    changed = left.status is not None and left.status.to_json() != run.lease.memory.status
    if left.status and (changed or (tell_unchanged and run.lease.purpose == "reconcile")):
        news.append(Event(kind="Site Status", detail={**about, **left.status.model_dump(mode="json")}))
    if run.drift and (not run.lease.repair or any(drift.repaired for drift in run.drift)):
        news.append(
            Event(kind="Drift Found", detail={**about, "drift": [drift.model_dump() for drift in run.drift]})
        )
    known = _grants(run.lease.memory.status)
    news += [
        Event(kind="Access Granted", detail={**about, **grant.model_dump()})
        for grant in (left.status.grants if left.status else ())
        if grant not in known
    ]
    news += [Event(kind="Access Ended", detail={**about, **grant.model_dump()}) for grant in left.ended]
    return news


def _grants(status: str | None) -> tuple[Access, ...]:
    # A status of another version of the product says nothing: the lease must go back all the same.
    known = SiteStatus.read(status)
    return known.grants if known else ()
