"""Everything about one site, as a section with its buttons."""

from datetime import datetime
from typing import Literal

from contract.documents import EndpointState, Outcome
from lambdas.core.markup import Content, Markup, element, joined, parameters
from lambdas.core.site_markup import (
    ago,
    badge,
    level_class,
    overview,
    problem_list,
    run_text,
    shortened,
)
from lambdas.core.site_overview import Level
from lambdas.show_sites.logic import MOST_ROWS, Details, View, Word

Request = Literal["provision", "check", "release"]

_PROVISION = (
    "Provision site {site}? Its bucket and endpoint are made or repaired, a bucket that nobody relies on yet "
    "is locked to the endpoint, and the backup servers are told to use it. {again}Nothing is deleted."
)
_AGAIN = "The site was released: this takes it into use again. "
_CHECK = "Check site {site} for changes made by hand? Nothing is changed: what differs is told, not repaired."
_RELEASE = (
    "Release site {site}? In this order: the lock is taken off its buckets; the backup servers are told to "
    "go back to Veeam's own endpoints; when every one has reported, the endpoint and its security group are "
    "deleted. Buckets and backups stay, and so do your own policy statements. Until the site is provisioned "
    "again, backups go over the public endpoints."
)

_OUTCOMES = {
    Outcome.ADOPTED: ("Uses the endpoint", Level.IN_ORDER),
    Outcome.REVERTED: ("Went back", Level.RELEASED),
    Outcome.FAILED: ("Failed", Level.WRONG),
}


def sections(view: View, *, now: datetime, start_function: str) -> Markup:
    """Draw the table of all sites, if there are several, and the first ones in detail."""
    several = len(view.rows) > 1
    left_out = len(view.rows) - len(view.details)
    return joined(
        overview(view.rows, now=now, most=MOST_ROWS) if several else "",
        element("p", "There are more sites than were read.") if view.more else "",
        *(
            _section(details, number=number, now=now, start_function=start_function)
            for number, details in enumerate(view.details)
        ),
        element("p", f"and {left_out:,} more sites", class_="dim") if left_out else "",
        element("p", "Last looked at: ", element("span", f"{now:%Y-%m-%d %H:%M:%S} UTC"), class_="dim"),
    )


def _section(details: Details, *, number: int, now: datetime, start_function: str) -> Markup:
    row = details.row
    heading = f"vpl-site-{number}"
    return element(
        "section",
        element("h2", row.site, id=heading),
        badge(row.level),
        " ",
        element("span", row.state),
        problem_list(row.problems),
        element("dl", *_facts(details, now=now)),
        _servers(details, now=now),
        _buttons(details, start_function=start_function) if details.startable else "",
        class_=f"site {level_class(row.level)}",
        aria_labelledby=heading,
    )


def _facts(details: Details, *, now: datetime) -> list[Markup]:
    status = details.status
    document = details.published.document if details.published else None
    facts: list[tuple[str, Content]] = [("Should be", details.intent), ("Buckets", _buckets(details))]
    if details.row.endpoint_id:
        facts.append(("Endpoint", f"{details.row.endpoint_id}, {details.endpoint_state}"))
    if document and document.vpc_endpoint_id == details.row.endpoint_id:
        facts.append(("DNS name", document.endpoint_host))
        facts.append(("Addresses", ", ".join(document.endpoint_addresses) or "none known"))
    if document and document.state is EndpointState.WITHDRAWN:
        facts.append(("Servers are told", "to go back to Veeam's own endpoints"))
    if status and len(status.let_in) > 1:
        facts.append(("Also let in", ", ".join(status.let_in[1:])))
    if status and status.waits_for:
        facts.append(("Waits for", ", ".join(status.waits_for)))
    facts += [
        ("Access granted", f"{grant.principal} may read until {grant.expires_at}: {grant.reason}")
        for grant in (status.grants if status else ())
    ]
    run = details.row.run
    facts.append(("Last run", run_text(run, now=now) if run else "none yet"))
    return [
        part
        for name, value in facts
        for part in (
            element("dt", name),
            element("dd", value if isinstance(value, Markup) else shortened(value)),
        )
    ]


def _buckets(details: Details) -> Content:
    status = details.status
    document = details.published.document if details.published else None
    locked = set(status.enforced) if status else set()
    buckets = document.buckets if document else ()
    immutable = {str(bucket.name): bucket.immutability_days for bucket in buckets}
    names = dict.fromkeys(
        (*immutable, *(status.enforced if status else ()), *(status.pending if status else ()))
    )
    if not names:
        return "none yet"
    return element(
        "ul",
        *(
            element(
                "li",
                f"{name}: {'locked to the endpoint' if name in locked else 'not locked'}"
                + (f", immutable for {days} days" if (days := immutable.get(name)) else ""),
            )
            for name in names
        ),
    )


def _servers(details: Details, *, now: datetime) -> Markup:
    if not details.servers:
        return element("p", "No backup server has reported yet.", class_="dim")
    version = details.published.version if details.published else None
    head = element(
        "tr", *(element("th", text, scope="col") for text in ("Backup server", "Adoption", "Versions"))
    )
    return joined(
        element("h3", "Backup servers"),
        element(
            "table",
            element("caption", f"As last reported; the published document has version {version or 'none'}"),
            element("thead", head),
            element("tbody", *(_server(word, now=now) for word in details.servers)),
        ),
    )


def _server(word: Word, *, now: datetime) -> Markup:
    seen = element("div", "last seen ", ago(word.seen_at, now=now), class_="dim")
    name = element("th", word.server, seen, scope="row")
    report = word.report
    if report is None:
        said = "its report can't be read" if word.unreadable else "has not reported"
        return element("tr", name, element("td", said), element("td", "not known"))
    words, level = _OUTCOMES[report.outcome]
    failed = [check for check in report.checks if not check.ok]
    return element(
        "tr",
        name,
        element(
            "td",
            element("span", words, class_=f"badge {level_class(level)}"),
            " ",
            ago(datetime.fromisoformat(report.at), now=now),
            element("div", report.vpc_endpoint_id, class_="dim"),
            element("div", shortened(report.error)) if report.error else "",
            *(element("div", shortened(f"{check.id}: {check.detail}")) for check in failed[:3]),
        ),
        element(
            "td",
            f"client {report.client_version}",
            element("div", f"VBR {report.vbr_version or 'not known'}"),
            element("div", f"document {report.document_version}"),
        ),
    )


def _buttons(details: Details, *, start_function: str) -> Markup:
    site = details.row.site
    wanted = details.intent == "provisioned"
    offers: list[tuple[Request, str, str]] = [
        ("provision", "Provision", _PROVISION.format(site=site, again="" if wanted else _AGAIN)),
        ("check", "Check for drift", _CHECK.format(site=site)),
        ("release", "Release", _RELEASE.format(site=site)),
    ]
    first = "provision" if not wanted or details.row.level is Level.WRONG else None
    return element(
        "div",
        *(
            part
            for request, label, confirmation in offers
            for part in (
                element(
                    "button",
                    label,
                    type="button",
                    class_="btn first" if request == first else "btn",
                    aria_label=f"{label}: site {site}",
                ),
                element(
                    "cwdb-action",
                    parameters({"request": request, "site": site}),
                    action="call",
                    display="popup",
                    confirmation=confirmation,
                    endpoint=start_function,
                ),
            )
        ),
        class_="actions",
    )
