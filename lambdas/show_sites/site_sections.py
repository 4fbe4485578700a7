"""Everything about one site, as a section with its buttons."""

from datetime import datetime

from contract.documents import EndpointState, Outcome
from lambdas.core.known_sites import Word
from lambdas.core.markup import Content, Markup, element, joined
from lambdas.core.site_buttons import buttons
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
from lambdas.show_sites.logic import MOST_ROWS, Details, View

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
        buttons(
            row,
            wanted=details.intent == "provisioned",
            function=start_function,
            about={"site": row.site},
        )
        if details.startable
        else "",
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
        element("p", f"and {details.more_servers} more", class_="dim") if details.more_servers else "",
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
