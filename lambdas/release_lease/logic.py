"""
What a run leaves behind: what the next one must know, and what people are told.

Only a run that came to its end changes what is remembered: a failed one was undone, and one that only
checked has changed nothing.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lambdas.core.drift import NOT_OURS, Drift
from lambdas.core.memory import Access, Memory


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


class Reversion(_Part):
    """What read_adoption has returned for a released site."""

    back: bool
    waits_for: tuple[str, ...]


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


class SiteStatus(_Part):
    """
    What is said of a site: in the table, in the execution's output and as an event when it changes.

    `let_in` are the endpoints that the bucket policy lets in, the current one first; `left` is drift that
    the product must not repair.
    """

    state: Literal["enforced", "enforcement pending", "released", "release pending", "failed"]
    intent: str
    enforced: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    why: str | None = None
    let_in: tuple[str, ...] = ()
    grants: tuple[Access, ...] = ()
    left: tuple[str, ...] = ()
    error: str | None = None

    def to_json(self) -> str:
        """Return the text that is stored and compared."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy:
    """What a run leaves: what is remembered, which grants have ended, and what is said."""

    memory: Memory
    ended: tuple[Access, ...]
    status: SiteStatus | None


def legacy(run: RunState) -> Legacy:
    """Weigh a run's end."""
    lease = run.lease
    before = lease.memory
    active = tuple(grant for grant in before.grants if grant.expires_at > lease.started_at)
    if run.error is not None:
        return Legacy(memory=before, ended=(), status=_failed(run, run.error))
    if not lease.repair:
        return Legacy(memory=before, ended=(), status=None)
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
    return Legacy(memory=remembered, ended=ended, status=status)


def _provisioned(run: RunState, grants: tuple[Access, ...]) -> SiteStatus:
    adoption = run.adoption
    if adoption is None:
        raise ValueError("a provisioned site has weighed its reports")
    return SiteStatus(
        state="enforcement pending" if adoption.pending else "enforced",
        intent=run.lease.intent,
        enforced=adoption.enforce,
        pending=adoption.pending,
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
        waits_for=reversion.waits_for if reversion else (),
        let_in=() if back else run.lease.memory.endpoints,
    )


def _failed(run: RunState, error: StepFailure) -> SiteStatus:
    """As it was before: what the run was to grant it has not granted."""
    memory = run.lease.memory
    return SiteStatus(
        state="failed",
        intent=run.lease.intent,
        enforced=memory.enforced,
        let_in=memory.endpoints,
        grants=_grants(memory.status),
        error=f"{error.Error}: {_message(error.Cause)}"[:1000],
    )


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
    if status is None:
        return ()
    try:
        return SiteStatus.model_validate_json(status).grants
    except ValidationError:
        # Of another version of the product: the lease must go back all the same.
        return ()
