"""
What may start the workflow: a plain request, or an EventBridge event that carries one.

Events of the product say what is wanted. Events of AWS (a server's report was written) and schedules say
nothing about intent: their runs follow the stored one, so that neither a report nor a schedule nor a
deployment ever brings a released site back.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from contract.parameters import ROOT
from lambdas.core.errors import InvalidRequestError
from lambdas.core.step import Request, parse

EVENT_SOURCE = "vbr-privatelink"
_DETAIL_TYPES = ("Access Grant Requested", "Check Requested", "Provision Requested", "Release Requested")

_SITE = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")
_REPORT = re.compile(rf"{ROOT}/(?P<site>[a-z0-9-]{{1,32}})/adoption/[a-z0-9._-]{{1,63}}")
_BELOW_REPORTS = re.compile(rf"{ROOT}/[a-z0-9-]{{1,32}}/adoption/.+", re.DOTALL)
# A recovery is over after a week, or somebody asks again: nobody forgets an exception for a year.
_LONGEST_GRANT_HOURS = 168


class Purpose(StrEnum):
    """What the run is for."""

    RECONCILE = "reconcile"
    CHECK = "check"
    PENDING = "pending"


class Grant(Request):
    """One principal may read the backups from anywhere, for a while; `principal` is an exact ARN."""

    principal: str = Field(
        max_length=128, pattern=r"^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$"
    )
    hours: int = Field(strict=True, ge=1, le=_LONGEST_GRANT_HOURS)
    reason: str = Field(min_length=1, max_length=200, pattern=r"^[ -~]+$")

    def expires_at(self, now: datetime) -> str:
        """Return when the grant ends, as the policy and the table write it."""
        return (now.astimezone(UTC) + timedelta(hours=self.hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


class ReconcileRequest(Request):
    """
    A request names a site and, at most, what should become of it.

    Everything else is in the site's settings, so that whoever may start a run can't widen what it does.
    `force` lets a release go on although servers have not answered.
    """

    site: str = _SITE
    intent: Literal["provisioned", "released"] | None = None
    purpose: Purpose = Purpose.RECONCILE
    force: bool = Field(default=False, strict=True)
    grant: Grant | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.force and self.intent != "released":
            raise ValueError("force is only for releasing a site; set intent to released")
        if self.grant and self.intent == "released":
            raise ValueError("a grant is for a site that is provisioned; leave grant or intent out")
        if self.purpose is not Purpose.RECONCILE and (self.intent or self.grant):
            raise ValueError(
                f"a run for the purpose {self.purpose} changes nothing; leave intent and grant out"
            )
        return self


class _Site(Request):
    site: str = _SITE


class _Release(_Site):
    force: bool = Field(default=False, strict=True)


class _Grant(_Site, Grant):
    pass


def is_no_report(event: Any) -> bool:
    """
    Say whether an event tells of a parameter below a site's reports that can't be a server's.

    The rule's pattern ends in a wildcard, so it lets them through. Nobody has asked for anything: a refusal
    would be a failed run, and a mail to people who can't do anything about it.
    """
    match event:
        case {"source": "aws.ssm", "detail-type": "Parameter Store Change", "detail": {"name": str(name)}}:
            return _BELOW_REPORTS.fullmatch(name) is not None and _REPORT.fullmatch(name) is None
        case _:
            return False


def reconcile_request(event: Any) -> ReconcileRequest:
    """Read a StartExecution input, or a whole EventBridge event; raises InvalidRequestError."""
    if not isinstance(event, dict) or "detail-type" not in event:
        return parse(ReconcileRequest, event)
    detail = event.get("detail")
    match event.get("source"), event["detail-type"]:
        case ("vbr-privatelink", "Provision Requested"):
            return ReconcileRequest(site=parse(_Site, detail).site, intent="provisioned")
        case ("vbr-privatelink", "Release Requested"):
            release = parse(_Release, detail)
            return ReconcileRequest(site=release.site, intent="released", force=release.force)
        case ("vbr-privatelink", "Check Requested"):
            return ReconcileRequest(site=parse(_Site, detail).site, purpose=Purpose.CHECK)
        case ("vbr-privatelink", "Access Grant Requested"):
            grant = parse(_Grant, detail)
            return ReconcileRequest(site=grant.site, grant=Grant(**grant.model_dump(exclude={"site"})))
        case ("aws.ssm", "Parameter Store Change"):
            return parse(ReconcileRequest, {"site": _reporting_site(detail)})
        case _:
            raise InvalidRequestError(
                f"detail-type: this event starts nothing; send source {EVENT_SOURCE} and one of: "
                + ", ".join(_DETAIL_TYPES)
            )


def _reporting_site(detail: object) -> str:
    name = detail.get("name") if isinstance(detail, dict) else None
    match = _REPORT.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise InvalidRequestError(
            f"detail.name: this is no server's report; those are in {ROOT}/<site>/adoption/"
        )
    return match["site"]
