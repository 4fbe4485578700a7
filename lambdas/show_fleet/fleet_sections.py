"""The fleet as HTML: how many sites need somebody, the table, and buttons for the first of them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from lambdas.core.markup import Markup, element, joined, parameters
from lambdas.core.site_buttons import buttons
from lambdas.core.site_markup import badge, level_class, overview, problem_list
from lambdas.core.site_overview import Level, SiteRow, in_order_of_attention

# CloudWatch takes a megabyte of HTML; each row is some 600 bytes.
MOST_ROWS = 1000
# Sites with buttons below the table: those that need somebody.
MOST_SECTIONS = 20


def fleet(
    rows: Sequence[SiteRow],
    *,
    now: datetime,
    only_attention: bool,
    show_function: str,
    start_function: str,
) -> Markup:
    """Draw the fleet; *show_function* draws it again with the other filter."""
    first = [row for row in in_order_of_attention(rows) if row.level.needs_attention][:MOST_SECTIONS]
    return joined(
        _summary(rows),
        _filter(only_attention=only_attention, show_function=show_function) if rows else "",
        overview(
            rows,
            now=now,
            most=MOST_ROWS,
            only_attention=only_attention,
            caption="Sites of all accounts, what needs attention first",
        ),
        *(_section(row, number=number, start_function=start_function) for number, row in enumerate(first)),
        element("p", "Last looked at: ", element("span", f"{now:%Y-%m-%d %H:%M:%S} UTC"), class_="dim"),
    )


def _summary(rows: Sequence[SiteRow]) -> Markup:
    found = Counter(row.level for row in rows)
    accounts = len({row.account_id for row in rows})
    counts = [(badge(level), f" {found[level]:,} ") for level in Level if found[level]]
    return element(
        "p",
        f"{len(rows):,} {'site' if len(rows) == 1 else 'sites'} in {accounts:,} "
        f"{'account' if accounts == 1 else 'accounts'}. ",
        *(part for pair in counts for part in pair),
    )


def _filter(*, only_attention: bool, show_function: str) -> Markup:
    label, show = (
        ("Show all sites", "all") if only_attention else ("Show only what needs attention", "attention")
    )
    return element(
        "div",
        element("button", label, type="button", class_="btn"),
        element(
            "cwdb-action",
            parameters({"show": show}),
            action="call",
            display="widget",
            endpoint=show_function,
        ),
        class_="actions",
    )


def _section(row: SiteRow, *, number: int, start_function: str) -> Markup:
    heading = f"vpl-fleet-{number}"
    account, region = row.account_id or "", row.region or ""
    return element(
        "section",
        element("h2", f"{row.site} in {account}, {region}", id=heading),
        badge(row.level),
        " ",
        element("span", row.state),
        problem_list(row.problems),
        buttons(
            row,
            wanted=not row.state.endswith("released"),
            function=start_function,
            about={"account": account, "region": region, "site": row.site},
        ),
        class_=f"site {level_class(row.level)}",
        aria_labelledby=heading,
    )
