"""
What the console shows of this account's sites.

The table is read to its end, or to its cap, because what needs attention comes first; only of the first
sites everything else is looked up. Reports of servers, and whatever somebody else may have written, are
values here and text there: they decide nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from contract.documents import EndpointDocument, EndpointState, Outcome
from lambdas.core.known_sites import Parameters, Published, Sites, StoredSite, Word, servers_of
from lambdas.core.site_overview import Run, SiteRow, in_order_of_attention, site_row
from lambdas.core.status import SiteStatus

# Sites of which everything is shown, and rows of the table above them.
MOST_DETAILS = 20
MOST_ROWS = 60
# Parameters that are read for them: Parameter Store answers 40 calls a second, of ten parameters each, to the
# workflow and the backup servers as well.
MOST_PARAMETERS = 200


_NOTHING_SAID: tuple[Published | None, Mapping[str, Word]] = (None, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A run as Step Functions knows it; `status` is RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED."""

    status: str
    started_at: datetime


class Endpoints(Protocol):
    """What is needed from EC2: the states of those of the endpoints that exist, in lower case."""

    def states(self, endpoint_ids: Collection[str]) -> Mapping[str, str]: ...


class Executions(Protocol):
    """What is needed from Step Functions; None for a run that it has forgotten."""

    def look_at(self, execution: str) -> Execution | None: ...

    def link(self, execution: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Everything about one site; `startable` when the stack has settings for it, so that buttons work."""

    row: SiteRow
    intent: str
    startable: bool
    status: SiteStatus | None
    published: Published | None
    endpoint_state: str | None
    servers: tuple[Word, ...]
    more_servers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is shown: all rows, the first sites in detail, and whether there are more than were read."""

    rows: tuple[SiteRow, ...]
    details: tuple[Details, ...]
    more: bool


def look(
    sites: Sites,
    parameters: Parameters,
    endpoints: Endpoints,
    executions: Executions,
    *,
    configured: Sequence[str],
    now: datetime,
) -> View:
    """Look at every site of the table and at those that the settings name; change nothing."""
    stored = sites.read()
    known = {item.site: item for item in stored.items}
    items = {name: known.get(name) or StoredSite(site=name) for name in [*configured, *known]}
    runs = {name: _run(item, executions) for name, item in items.items()}
    rows = {
        name: _row(item, item.status, runs[name], configured=name in configured)
        for name, item in items.items()
    }
    first = [row.site for row in in_order_of_attention(list(rows.values()))[:MOST_DETAILS]]
    # The role reads the words of the stack's own sites alone.
    asked = _within_bounds({name: servers_of(items[name]) for name in first if name in configured})
    words = {**dict.fromkeys(first, _NOTHING_SAID), **parameters.read(asked)}
    wanted = {name: _endpoint_id(items[name], words[name][0]) for name in first}
    states = endpoints.states({endpoint for endpoint in wanted.values() if endpoint})
    details = {}
    for name in first:
        item, (published, said), endpoint = items[name], words[name], wanted[name]
        state = states.get(endpoint, "gone") if endpoint else None
        run, stopped = _looked_at(item, runs[name], executions)
        status = _with_words(item.status, published, said.values())
        row = _row(item, status, run, configured=name in configured).with_problems(
            [*stopped, *_wrong(item, published, said.values(), endpoint=endpoint, state=state, now=now)]
        )
        rows[name] = replace(row, endpoint_id=endpoint)
        details[name] = Details(
            row=rows[name],
            intent=item.intent or "provisioned",
            startable=name in configured,
            status=status,
            published=published,
            endpoint_state=state,
            servers=tuple(said.values()),
            more_servers=len(servers_of(item)) - len(said),
        )
    order = in_order_of_attention([one.row for one in details.values()])
    return View(
        rows=tuple(rows.values()), details=tuple(details[row.site] for row in order), more=stored.more
    )


def _within_bounds(servers: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Leave out servers behind the bound: each has two parameters, and each site's document is one."""
    left = (MOST_PARAMETERS - len(servers)) // 2
    bounded: dict[str, Sequence[str]] = {}
    for site, named in servers.items():
        bounded[site] = named[:left]
        left -= len(bounded[site])
    return bounded


def _run(item: StoredSite, executions: Executions) -> Run | None:
    """Say what the table knows of the last run; whoever holds the lease is taken to be at work."""
    if item.holder is not None:
        return Run(started_at=None, link=executions.link(item.holder), failed=None)
    last = item.last_run
    if last is None:
        return None
    return Run(
        started_at=last.started_at,
        link=executions.link(last.execution),
        failed=last.failed,
        purpose=last.purpose,
    )


def _looked_at(
    item: StoredSite, run: Run | None, executions: Executions
) -> tuple[Run | None, tuple[str, ...]]:
    """Ask whether the run that has the lease is still at work: one that was stopped keeps it."""
    if item.holder is None or run is None:
        return run, ()
    found = executions.look_at(item.holder)
    if found is not None and found.status in ("RUNNING", "PENDING_REDRIVE"):
        return replace(run, started_at=found.started_at), ()
    ended = "is not known any more" if found is None else f"ended as {found.status}"
    stopped = replace(run, failed=True, started_at=found.started_at if found else None)
    return stopped, (
        f"The last run {ended} and left the site as it was then: start it again, the next one takes over.",
    )


def _row(item: StoredSite, status: SiteStatus | None, run: Run | None, *, configured: bool) -> SiteRow:
    """Weigh what is said of a site."""
    row = site_row(item.site, status, run=run, said_at=item.last_run.started_at if item.last_run else None)
    if item.unreadable:
        row = replace(row, state="not known", problems=()).with_problems(
            ["What was last said of this site can't be read here: upgrade the stack."]
        )
    elif status is None and item.last_run is not None:
        row = replace(row, problems=()).with_problems(
            ["No run has changed anything yet, they only checked: provision the site."]
        )
    if not configured:
        row = row.with_problems(["The settings of the stack don't name this site any more."])
    return row


def _endpoint_id(item: StoredSite, published: Published | None) -> str | None:
    if item.status and item.status.let_in:
        return item.status.let_in[0]
    document = published.document if published else None
    return document.vpc_endpoint_id if document and document.state is EndpointState.ACTIVE else None


def _with_words(
    status: SiteStatus | None, published: Published | None, words: Collection[Word]
) -> SiteStatus | None:
    """Put what the servers say now in the place of what the last run had read."""
    document = published.document if published else None
    if status is None or document is None:
        return status
    heard = {word.server for word in words}
    moved = [word.server for word in words if _has_moved(word, document)]
    return status.model_copy(
        update={"moved": tuple(sorted({*moved, *(one for one in status.moved if one not in heard)}))}
    )


def _wrong(
    item: StoredSite,
    published: Published | None,
    words: Collection[Word],
    *,
    endpoint: str | None,
    state: str | None,
    now: datetime,
) -> list[str]:
    """Say what the table doesn't know yet."""
    document = published.document if published else None
    in_use = item.status is not None and item.status.state in ("enforced", "enforcement pending")
    wrong = []
    if published and document is None:
        wrong.append("The published document can't be read: provision the site again.")
    if in_use and endpoint and state != "available":
        wrong.append(f"The endpoint {endpoint} is {state}: provision the site again.")
    if in_use and document and document.state is EndpointState.ACTIVE:
        wrong += [problem for word in words if (problem := _wrong_with(word, now=now))]
    return wrong


def _has_moved(word: Word, document: EndpointDocument) -> bool:
    """Whether the server has done what the published document asks for."""
    if word.report is None:
        return False
    if document.state is EndpointState.WITHDRAWN:
        return word.report.outcome is Outcome.REVERTED
    return word.report.outcome is Outcome.ADOPTED and word.report.vpc_endpoint_id == document.vpc_endpoint_id


def _wrong_with(word: Word, *, now: datetime) -> str | None:
    """Say the most important thing that is wrong with a server of a provisioned site."""
    report = word.report
    if word.unreadable:
        return f"The report of {word.server} can't be read: upgrade the stack, or run the client there again."
    if report is not None and report.outcome is Outcome.FAILED:
        failed = [check for check in report.checks if not check.ok]
        reason = report.error or (f"{failed[0].id}: {failed[0].detail}" if failed else "it gives no reason")
        return f"{word.server} has failed: {reason}"
    if word.is_silent(now):
        return f"{word.server} was last seen more than a day ago: look at its scheduled task."
    return None
