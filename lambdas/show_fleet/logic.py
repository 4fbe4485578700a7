"""What the fleet's dashboard says of each site: its own last word, and that it has fallen silent."""

from collections.abc import Iterable
from datetime import UTC, datetime

from lambdas.core.console_links import execution_link
from lambdas.core.fleet import Concern, FleetSite, concern
from lambdas.core.site_markup import age
from lambdas.core.site_overview import Run, SiteRow, site_row


def rows(sites: Iterable[FleetSite], *, now: datetime, silent_after_days: int) -> list[SiteRow]:
    """Weigh every site; those of which nothing can be read are told as such."""
    return [_row(site, now=now, silent_after_days=silent_after_days) for site in sites]


def _row(site: FleetSite, *, now: datetime, silent_after_days: int) -> SiteRow:
    told_at = None if site.told_at is None else _moment(site.told_at)
    status = site.status
    run = None
    if status is not None and told_at is not None:
        link = execution_link(status.execution) if status.execution else None
        run = Run(started_at=told_at, link=link, failed=status.state == "failed")
    row = site_row(
        site.site,
        status,
        run=run,
        said_at=told_at,
        account_id=site.account_id,
        region=site.region,
    )
    if concern(site, now=now, silent_after_days=silent_after_days) is not Concern.SILENT:
        return row
    if told_at is None or status is None:
        return row.with_problems(["What this site said can't be read, or it has said nothing of itself yet."])
    silent = (
        f"It last said something {age(now - told_at)}: look whether its account, its schedule and its way to "
        "the hub are there."
    )
    return row.with_problems([silent])


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
