"""
What the hub keeps of each site: one item, written by record_site_status and read by everything else there.

    account     partition key: the envelope's account
    place       sort key: <Region>/<site>, the Region of the envelope
    told_at     the time of the event that wrote `status`
    status      a FleetStatus, as JSON
    drift_at    the time of the last event that told of drift
    drift       a FleetDrift, as JSON
    expires_at  when DynamoDB forgets the item, in seconds since 1970
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict

from lambdas.core.status import SiteStatus
from lambdas.core.step import Request

KEPT_DAYS = 90


class _Kept(Request):
    """What a newer version of the hub has written besides is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class FleetStatus(SiteStatus):
    """
    How a site was when its last run ended, cut to what may be kept.

    `grants` stay empty: to whom access was granted, the account itself knows; `execution` is the run, if it
    is one of the account's own.
    """

    intent: Literal["provisioned", "released"]
    execution: str | None = None


class FleetDrift(_Kept):
    """What a run has found not to be as it should be, in numbers."""

    repaired: int
    left: int


class FleetSite(_Kept):
    """One item of the table."""

    account_id: str
    region: str
    site: str
    told_at: str | None = None
    status: FleetStatus | None = None
    drift_at: str | None = None
    drift: FleetDrift | None = None


class Concern(StrEnum):
    """Why somebody should look at a site, the most urgent first."""

    FAILED = "failed"
    SILENT = "not heard of"
    WAITING = "waiting"
    DRIFTED = "drift left"


def concern(site: FleetSite, *, now: datetime, silent_after_days: int) -> Concern | None:
    """
    Say why somebody should look at a site.

    A released site says nothing any more but once a day, like all others: what is not heard of has lost
    its way to the hub, its schedule or its account.
    """
    if site.status is None or site.told_at is None:
        return Concern.SILENT
    if site.status.state == "failed":
        return Concern.FAILED
    if age(site.told_at, now=now) > timedelta(days=silent_after_days):
        return Concern.SILENT
    if site.status.state.endswith("pending"):
        return Concern.WAITING
    if site.status.left:
        return Concern.DRIFTED
    return None


def age(at: str, *, now: datetime) -> timedelta:
    """Return how long ago an event was."""
    return now - datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
