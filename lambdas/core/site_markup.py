"""
Draw sites as HTML: for one account's dashboard and for the fleet's.

Values in, markup out. Made for CloudWatch's custom widgets, which strip scripts and take inline style
sheets: headings, tables with header cells, text beside each colour, real buttons and links, and nothing that
is wider than its place.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from lambdas.core.markup import Content, Markup, element, joined, stylesheet
from lambdas.core.site_overview import Level, Run, SiteRow, in_order_of_attention

Theme = Literal["light", "dark"]

# Of one site; what is behind them is counted.
MOST_PROBLEMS = 8
LONGEST_TEXT = 400

# `cwdb-no-default-styles` switches CloudWatch's own styles off, so that all of it is said here.
_STYLE = stylesheet("""
.vpl{--ink:#16191f;--dim:#545b64;--line:#c6ccd2;--back:#fff;--soft:#f4f6f8;--link:#0b5cad;
--wrong:#b0160f;--wrong-b:#fdeceb;--waiting:#7a4b00;--waiting-b:#fff4d6;--working:#0b5cad;--working-b:#e6f1fc;
--good:#14632b;--good-b:#e3f5e8;--off:#49525c;--off-b:#eceff2;
box-sizing:border-box;background:var(--back);color:var(--ink);padding:8px 12px;
font:14px/1.45 "Amazon Ember","Helvetica Neue",Roboto,Arial,sans-serif;overflow-wrap:anywhere}
.vpl.dark{--ink:#e9ebed;--dim:#b4bcc6;--line:#4a5562;--back:#16202c;--soft:#1f2b3a;--link:#75bdfb;
--wrong:#ffa49d;--wrong-b:#4a1613;--waiting:#ffd37a;--waiting-b:#453005;--working:#9ccdff;--working-b:#12375c;
--good:#92e3a9;--good-b:#123b20;--off:#ccd3da;--off-b:#34404d}
.vpl *{box-sizing:border-box}.vpl cwdb-action{display:none}
.vpl h2{font-size:18px;line-height:1.3;margin:0 8px 0 0;display:inline}
.vpl h3{font-size:14px;margin:12px 0 4px}
.vpl p{margin:4px 0}
.vpl a{color:var(--link);text-decoration:underline}
.vpl a:focus-visible,.vpl button:focus-visible,.vpl [tabindex]:focus-visible{outline:3px solid var(--link);
outline-offset:2px}
.vpl .site{border:1px solid var(--line);border-left-width:6px;border-radius:6px;padding:10px 12px;
margin:0 0 12px}
.vpl .site.wrong{border-left-color:var(--wrong)}.vpl .site.waiting{border-left-color:var(--waiting)}
.vpl .site.working{border-left-color:var(--working)}.vpl .site.in-order{border-left-color:var(--good)}
.vpl .badge{display:inline-block;border:1px solid currentColor;border-radius:10px;padding:0 8px;
font-size:13px;font-weight:700;white-space:nowrap}
.vpl .badge.wrong{color:var(--wrong);background:var(--wrong-b)}
.vpl .badge.waiting{color:var(--waiting);background:var(--waiting-b)}
.vpl .badge.working{color:var(--working);background:var(--working-b)}
.vpl .badge.in-order{color:var(--good);background:var(--good-b)}
.vpl .badge.released{color:var(--off);background:var(--off-b)}
.vpl .dim{color:var(--dim);font-weight:400}
.vpl ul{margin:6px 0;padding:0 0 0 20px}
.vpl .problems{list-style:none;padding:0}
.vpl .problems li{background:var(--wrong-b);color:var(--wrong);border-radius:4px;padding:4px 8px;margin:4px 0}
.vpl .waiting .problems li{background:var(--waiting-b);color:var(--waiting)}
.vpl .working .problems li{background:var(--working-b);color:var(--working)}
.vpl dl{display:grid;grid-template-columns:minmax(90px,max-content) 1fr;gap:4px 12px;margin:8px 0}
.vpl dt{color:var(--dim)}.vpl dd{margin:0;min-width:0}.vpl dd ul{margin:0;padding:0;list-style:none}
.vpl .wide{overflow-x:auto;margin:0 0 16px}
.vpl table{border-collapse:collapse;width:100%}
.vpl caption{text-align:left;color:var(--dim);padding:0 0 4px}
.vpl th,.vpl td{text-align:left;vertical-align:top;border-bottom:1px solid var(--line);padding:5px 8px 5px 0}
.vpl thead th{color:var(--dim);font-size:13px}
.vpl tbody th{font-weight:700}
.vpl th,.vpl td{overflow-wrap:break-word}.vpl .overview{min-width:560px}
.vpl .actions{display:flex;flex-wrap:wrap;gap:8px;margin:10px 0 0}
.vpl button{font:inherit;font-weight:700;color:var(--link);background:var(--back);cursor:pointer;
border:2px solid var(--link);border-radius:16px;padding:4px 16px;min-height:32px}
.vpl button:hover{background:var(--soft)}
.vpl button.first{background:#0b5cad;border-color:#0b5cad;color:#fff}
.vpl button.first:hover{background:#084682}
""")

_CLASSES = {
    Level.WRONG: "wrong",
    Level.WAITING: "waiting",
    Level.WORKING: "working",
    Level.IN_ORDER: "in-order",
    Level.RELEASED: "released",
}


def page(*content: Content, theme: Theme) -> Markup:
    """Frame *content* in the colours of the dashboard's theme."""
    return joined(_STYLE, element("div", *content, class_=f"vpl {theme} cwdb-no-default-styles"))


def overview(
    rows: Sequence[SiteRow],
    *,
    now: datetime,
    most: int,
    total: int | None = None,
    only_attention: bool = False,
    caption: str = "Sites, what needs attention first",
) -> Markup:
    """
    Draw a table of sites, what needs attention first, at most *most* of them; the rest is counted.

    *total* is how many sites there are, where the caller has not read them all. Columns for account and
    Region appear as soon as a row has one.
    """
    chosen = in_order_of_attention([row for row in rows if row.level.needs_attention or not only_attention])
    if not chosen:
        return element("p", "Nothing needs attention." if only_attention else "There are no sites.")
    accounts = any(row.account_id or row.region for row in rows)
    heads = [
        *(("Account", "Region") if accounts else ()),
        "Site",
        "State",
        "What is wrong",
        "Servers",
        "Last run",
    ]
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    body = [_row(row, now=now, accounts=accounts) for row in chosen[:most]]
    left_out = (len(chosen) if only_attention or total is None else max(total, len(chosen))) - len(body)
    return joined(
        element(
            "div",
            element(
                "table",
                element("caption", caption),
                element("thead", head),
                element("tbody", *body),
                class_="overview",
            ),
            class_="wide",
            role="region",
            aria_label=caption,
            tabindex="0",
        ),
        element("p", f"and {left_out:,} more", class_="dim") if left_out else "",
    )


def _row(row: SiteRow, *, now: datetime, accounts: bool) -> Markup:
    wrong = [shortened(problem) for problem in row.problems]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return element(
        "tr",
        *(
            (element("td", row.account_id or "", class_="dim"), element("td", row.region or "", class_="dim"))
            if accounts
            else ()
        ),
        element("th", row.site, scope="row"),
        element("td", badge(row.level), " ", row.state, *_endpoint(row)),
        element("td", f"{wrong[0]}{more}" if wrong else "nothing"),
        element("td", row.servers or "none known"),
        element("td", run_text(row.run, now=now) if row.run else ago(row.said_at, now=now)),
    )


def _endpoint(row: SiteRow) -> tuple[Content, ...]:
    return (element("div", row.endpoint_id, class_="dim"),) if row.endpoint_id else ()


def badge(level: Level) -> Markup:
    """Say how much a site needs a person, in words and a colour."""
    return element("span", level.words, class_=f"badge {_CLASSES[level]}")


def level_class(level: Level) -> str:
    """Return the class that colours whatever is about a site."""
    return _CLASSES[level]


def problem_list(problems: Sequence[str]) -> Markup:
    """Say what is wrong, a sentence each; what is behind the most important ones is counted."""
    if not problems:
        return element("p", "Nothing is wrong.")
    shown = [element("li", shortened(problem)) for problem in problems[:MOST_PROBLEMS]]
    left_out = len(problems) - len(shown)
    return element(
        "ul", *shown, element("li", f"and {left_out:,} more") if left_out else "", class_="problems"
    )


def run_text(run: Run, *, now: datetime) -> Markup:
    """Say how a run went and when, with a link to it where there is one."""
    words = {None: "at work", True: "failed", False: "succeeded"}[run.failed]
    if run.purpose == "check":
        words = f"check {words}"
    return joined(
        words,
        joined(", started ", ago(run.started_at, now=now)) if run.started_at else "",
        joined(" ", external_link(run.link, "Open the run")) if run.link else "",
    )


def external_link(target: str, text: str) -> Markup:
    """Make a link that leaves the dashboard where it is."""
    return element("a", text, href=target, target="_blank", rel="noopener noreferrer")


def ago(moment: datetime | None, *, now: datetime) -> Markup:
    """Say how long ago something was, with the exact time for whoever asks."""
    if moment is None:
        return joined("never")
    exact = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return element("time", age(now - moment), datetime=exact, title=exact)


def age(length: timedelta) -> str:
    """Say a length of time as people do; a clock that is ahead is "just now"."""
    minutes = int(length.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if minutes >= size:
            number = minutes // size
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    raise AssertionError("a length of at least a minute has a unit")


def shortened(text: str) -> str:
    """Cut a text that somebody else has written; what is printed is one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"
