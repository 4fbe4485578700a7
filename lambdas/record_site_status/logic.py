"""
What an event from an account changes in the fleet's table.

Where it comes from is the envelope's word, which EventBridge writes. Everything else is the sender's, and
may be hostile: it is checked, cut short, and only ever changes the sender's own items. The time is the
sender's too, so the future is not believed.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from contract import names
from lambdas.core.errors import InvalidRequestError
from lambdas.core.fleet import KEPT_DAYS, FleetDrift, FleetStatus
from lambdas.core.step import Request, parse

# A stack has 20 sites at most; some may have been renamed since.
MOST_SITES = 40
_MOST_IN_A_LIST = 25
_LONGEST_TEXT = 600
_LONGEST_ITEM = 150
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _cut(longest: int) -> BeforeValidator:
    def cut(value: object) -> object:
        if not isinstance(value, str):
            return value
        text = "".join(letter if letter.isprintable() else "?" for letter in value[:longest])
        return text if len(value) <= longest else f"{text[:-3]}..."

    return BeforeValidator(cut)


def _few(value: object) -> object:
    return value[:_MOST_IN_A_LIST] if isinstance(value, list) else value


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidRequestError(
            f"time: {names.shown(text)} is not a time such as 2026-01-31T12:00:00Z"
        ) from error


_Text = Annotated[str, _cut(_LONGEST_TEXT)]
_Item = Annotated[str, _cut(_LONGEST_ITEM)]
_Items = Annotated[tuple[_Item, ...], BeforeValidator(_few)]


class _Detail(Request):
    """What a newer version of the product says besides, or somebody of another account, counts nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    site: str


class _StatusDetail(_Detail):
    state: str
    intent: str
    execution: str = ""
    enforced: _Items = ()
    pending: _Items = ()
    pending_since: str | None = None
    servers: _Items = ()
    moved: _Items = ()
    waits_for: _Items = ()
    why: _Text | None = None
    let_in: _Items = ()
    left: _Items = ()
    error: _Text | None = None


class _Drift(Request):
    model_config = ConfigDict(extra="ignore", frozen=True)

    repaired: bool = Field(strict=True)


class _DriftDetail(_Detail):
    drift: Annotated[tuple[_Drift, ...], BeforeValidator(_few)]


class _Envelope(Request):
    """An EventBridge event; what EventBridge itself adds to it one day is let through."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    account: str
    region: str
    put_at: str = Field(alias="time")
    source: str
    detail_type: str = Field(alias="detail-type")
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one account says of one of its sites, and when it said so; `forget_at` in seconds since 1970."""

    account_id: names.AccountId
    region: names.Region
    site: names.SiteName
    at: str
    forget_at: int
    said: FleetStatus | FleetDrift


class Fleet(Protocol):
    """What this function needs from the table."""

    def knows(self, report: Report) -> bool:
        """Say whether there is an item for the report's site already."""
        ...

    def count(self, report: Report) -> int:
        """Return how many sites the report's account has in its Region."""
        ...

    def write(self, report: Report) -> bool:
        """Keep what the report says, unless something newer is kept; say whether it was."""
        ...


def report_of(event: object, *, now: datetime) -> Report | None:
    """Read an event; None if it tells nothing that is kept. Raises InvalidRequestError."""
    envelope = parse(_Envelope, event)
    account_id = names.account_id(envelope.account, field="account")
    region = names.region(envelope.region, field="region")
    said: FleetStatus | FleetDrift
    match envelope.source, envelope.detail_type:
        case ("vbr-privatelink", "Site Status"):
            status = parse(_StatusDetail, envelope.detail)
            site, said = status.site, _status(status, account_id=account_id, region=region)
        case ("vbr-privatelink", "Drift Found"):
            found = parse(_DriftDetail, envelope.detail)
            repaired = sum(one.repaired for one in found.drift)
            site, said = found.site, FleetDrift(repaired=repaired, left=len(found.drift) - repaired)
        case _:
            return None
    at = min(_moment(envelope.put_at), now)
    return Report(
        account_id=account_id,
        region=region,
        site=names.site_name(site, field="detail.site"),
        at=at.strftime(_TIME),
        forget_at=int((at + timedelta(days=KEPT_DAYS)).timestamp()),
        said=said,
    )


def record(fleet: Fleet, report: Report) -> bool:
    """
    Keep what a report says; return whether that was news.

    Raises InvalidRequestError when an account claims more sites than a stack can have: whoever may put
    events can name any.
    """
    if not fleet.knows(report) and fleet.count(report) >= MOST_SITES:
        raise InvalidRequestError(
            f"detail.site: account {report.account_id} has told of {MOST_SITES} sites in {report.region} "
            "already; the oldest are forgotten after a while"
        )
    return fleet.write(report)


def _status(detail: _StatusDetail, *, account_id: str, region: str) -> FleetStatus:
    # A link that leads people into another account would be the sender's choice.
    own = re.compile(
        rf"arn:[a-z-]+:states:{re.escape(region)}:{account_id}:execution:vbr-privatelink-reconcile:"
        r"[A-Za-z0-9._-]{1,80}"
    )
    kept = detail.model_dump(exclude={"site"}) | {
        "execution": detail.execution if own.fullmatch(detail.execution) else None,
        "pending_since": detail.pending_since and _moment(detail.pending_since).strftime(_TIME),
    }
    try:
        return FleetStatus.model_validate(kept)
    except ValidationError as error:
        raise InvalidRequestError(
            f"detail: {error.errors(include_url=False)[0]['msg']}; the account has another version"
        ) from error
