"""What the console shows of the sites: what is wrong first, all of it escaped, and not too much."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.documents import AdoptionReport, EndpointDocument
from contract.names import EndpointId
from lambdas.core.known_sites import Published, StoredRun, StoredSite, StoredSites, Word
from lambdas.core.memory import Access
from lambdas.core.site_markup import overview, page
from lambdas.core.site_overview import Level, SiteRow, in_order_of_attention
from lambdas.core.status import SiteStatus
from lambdas.show_sites.logic import (
    MOST_DETAILS,
    MOST_PARAMETERS,
    MOST_ROWS,
    Execution,
    View,
    look,
)
from lambdas.show_sites.site_sections import sections
from tests.contract.golden_documents import FOLDER
from tests.unit.sites import ENDPOINT_ID, execution
from tests.unit.test_markup import HOSTILE, Read

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
RUN = execution("a")
DOCUMENT = EndpointDocument.from_json((FOLDER / "endpoint-document-1-active.json").read_text())
ADOPTED = replace(
    AdoptionReport.from_json((FOLDER / "adoption-report-1-adopted.json").read_text()),
    vpc_endpoint_id=DOCUMENT.vpc_endpoint_id,
)
FAILED = AdoptionReport.from_json((FOLDER / "adoption-report-1-failed.json").read_text())
IN_ORDER = SiteStatus(
    state="enforced",
    intent="provisioned",
    enforced=("backups",),
    let_in=(DOCUMENT.vpc_endpoint_id,),
    servers=("vbr01",),
    moved=("vbr01",),
)
LAST_RUN = StoredRun(execution=RUN, started_at=NOW - timedelta(minutes=5), purpose="reconcile", failed=False)


class World:
    """Table, Parameter Store, EC2 and Step Functions in one; counts what is asked."""

    def __init__(
        self,
        *items: StoredSite,
        words: Mapping[str, Word] | None = None,
        document: EndpointDocument | None = DOCUMENT,
        state: str | None = "available",
        run: Execution | None = None,
    ) -> None:
        self.items = items
        self.words = words or {"vbr01": Word(server="vbr01", report=ADOPTED, seen_at=NOW)}
        self.document = document
        self.state = state
        self.run = run
        self.asked: dict[str, Sequence[str]] = {}
        self.looked_at = 0

    def read(self, servers: Mapping[str, Sequence[str]] | None = None) -> Any:
        if servers is None:
            return StoredSites(items=self.items, more=False)
        self.asked = dict(servers)
        return {
            site: (
                Published(document=self.document, version=3),
                {one: self.words.get(one, Word(server=one)) for one in named},
            )
            for site, named in servers.items()
        }

    def states(self, endpoint_ids: Collection[str]) -> Mapping[str, str]:
        return {} if self.state is None else dict.fromkeys(endpoint_ids, self.state)

    def look_at(self, _execution: str) -> Execution | None:
        self.looked_at += 1
        return self.run

    def link(self, execution: str) -> str | None:
        return f"https://console.example.com/{execution[-1]}"


def seen(world: World, *configured: str) -> View:
    return look(world, world, world, world, configured=configured or ("tokyo",), now=NOW)


def shown(view: View) -> Read:
    return Read(page(sections(view, now=NOW, start_function="arn:aws:lambda:x"), theme="light"))


def tokyo(status: SiteStatus | None = IN_ORDER, **more: Any) -> StoredSite:
    return replace(StoredSite(site="tokyo", intent="provisioned", status=status, last_run=LAST_RUN), **more)


def test_a_site_in_order_says_so() -> None:
    """Green, and nothing else to read."""
    (row,) = seen(World(tokyo())).rows

    assert (row.level, row.problems, row.servers) == (Level.IN_ORDER, (), "1 of 1 moved")


@pytest.mark.parametrize(
    ("world", "level", "problem"),
    [
        (World(), Level.WRONG, "Nothing has been made yet"),
        (World(tokyo(None)), Level.WRONG, "No run has changed anything yet"),
        (World(tokyo(None, unreadable=True)), Level.WRONG, "can't be read here: upgrade"),
        (World(tokyo(), state=None), Level.WRONG, "is gone: provision"),
        (World(tokyo(), state="pending"), Level.WRONG, "is pending: provision"),
        (World(tokyo(), document=None), Level.WRONG, "The published document can't be read"),
        (
            World(tokyo(), words={"vbr01": Word(server="vbr01", report=FAILED, seen_at=NOW)}),
            Level.WRONG,
            "vbr01 has failed: ",
        ),
        (
            World(tokyo(), words={"vbr01": Word(server="vbr01", unreadable=True, seen_at=NOW)}),
            Level.WRONG,
            "The report of vbr01 can't be read",
        ),
        (
            World(
                tokyo(),
                words={
                    "vbr01": Word(
                        server="vbr01",
                        report=ADOPTED,
                        seen_at=NOW - timedelta(days=1, seconds=1),
                        beats=True,
                    )
                },
            ),
            Level.WRONG,
            "vbr01 was last seen more than a day ago",
        ),
        (
            World(
                tokyo(),
                words={
                    "vbr01": Word(
                        server="vbr01",
                        report=replace(ADOPTED, vpc_endpoint_id=EndpointId("vpce-0000000a")),
                        seen_at=NOW,
                    )
                },
            ),
            Level.WAITING,
            "No backup server uses the endpoint yet",
        ),
        (
            World(tokyo(IN_ORDER.model_copy(update={"servers": (), "moved": ()}))),
            Level.WAITING,
            "No backup server uses the endpoint yet",
        ),
        (
            World(tokyo(IN_ORDER.model_copy(update={"servers": ("vbr01", "vbr02")}))),
            Level.WAITING,
            "The endpoint is not used yet by vbr02",
        ),
        (
            World(
                tokyo(
                    IN_ORDER.model_copy(
                        update={
                            "state": "enforcement pending",
                            "pending": ("backups",),
                            "waits_for": ("vbr02",),
                        }
                    )
                )
            ),
            Level.WAITING,
            "Bucket backups will be locked when the endpoint is used by vbr02",
        ),
        (
            World(
                tokyo(
                    IN_ORDER.model_copy(
                        update={"state": "enforcement pending", "why": "expected_servers is empty"}
                    )
                )
            ),
            Level.WRONG,
            "can't be locked: expected_servers is empty",
        ),
        (
            World(tokyo(IN_ORDER.model_copy(update={"left": ("sg-1, ports: 1 -> 2",)}))),
            Level.WRONG,
            "not the product's to repair: sg-1, ports: 1 -> 2",
        ),
        (
            World(tokyo(IN_ORDER.model_copy(update={"state": "failed", "error": "E: why"}))),
            Level.WRONG,
            "The last run failed: E: why",
        ),
        (World(tokyo(holder=RUN)), Level.WRONG, "The last run is not known any more"),
        (
            World(tokyo(holder=RUN), run=Execution(status="ABORTED", started_at=NOW)),
            Level.WRONG,
            "The last run ended as ABORTED",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(world: World, level: Level, problem: str) -> None:
    """And what to do, where the product knows."""
    (row,) = seen(world).rows

    assert row.level is level
    assert problem in row.problems[0]


def test_a_run_at_work_is_no_reason_to_worry() -> None:
    """A press must be seen to do something at the next refresh."""
    (row,) = seen(World(tokyo(holder=RUN), run=Execution(status="RUNNING", started_at=NOW))).rows

    assert (row.level, row.problems) == (Level.WORKING, ())
    assert row.run is not None
    assert (row.run.started_at, row.run.failed) == (NOW, None)


def test_a_site_that_the_settings_do_not_name_has_no_buttons() -> None:
    """Its words are not read either: the role may not."""
    world = World(tokyo())
    view = seen(world, "osaka")

    assert {one.row.site: one.startable for one in view.details} == {"tokyo": False, "osaka": True}
    assert "tokyo" not in world.asked
    assert {
        attributes["confirmation"]
        for tag, attributes in shown(view).elements
        if tag == "cwdb-action" and "tokyo" in str(attributes)
    } == set()


def test_every_button_says_what_it_will_do() -> None:
    """In plain words, before anything happens; and it can be reached by keyboard."""
    found = shown(seen(World(tokyo()))).elements
    actions = [attributes for tag, attributes in found if tag == "cwdb-action"]
    before = [found[place - 1] for place, (tag, _) in enumerate(found) if tag == "cwdb-action"]

    assert [tag for tag, _ in before] == ["button"] * 3
    assert [(one["action"], one["endpoint"]) for one in actions] == [("call", "arn:aws:lambda:x")] * 3
    assert all(one["display"] == "popup" for one in actions)
    provision, check, release = [str(one["confirmation"]) for one in actions]
    assert "Nothing is deleted" in provision
    assert "Nothing is changed" in check
    assert release.index("lock") < release.index("told to go back") < release.index("deleted")
    assert "Buckets and backups stay" in release


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_everywhere(text: str) -> None:
    """Names, errors, reports and grants, whoever has written them."""
    hostile = SiteStatus(
        state="failed",
        intent=text,
        enforced=(text,),
        pending=(text,),
        waits_for=(text,),
        let_in=(text, text),
        servers=(text,),
        grants=(Access(principal=text, expires_at=text, reason=text),),
        left=(text,),
        why=text,
        error=text,
    )
    words = {
        text: Word(server=text, report=replace(FAILED, error=text, client_version=text, vbr_version=text))
    }
    world = World(tokyo(hostile, intent=text), tokyo(hostile, site=text, holder=RUN), words=words, state=text)
    harmless = shown(seen(World(tokyo(), StoredSite(site="x")), "tokyo"))
    found = shown(seen(world, "tokyo"))

    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in harmless.elements} | {"strong"}
    assert all(not name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert " ".join(text.split()) in found.text
    assert {attributes["href"] for tag, attributes in found.elements if tag == "a"} == {
        "https://console.example.com/a"
    }


def many(number: int, **status: Any) -> StoredSite:
    return tokyo(IN_ORDER.model_copy(update=status), site=f"site-{number}")


def test_a_thousand_sites_are_shown_at_once_and_what_is_wrong_first() -> None:
    """The one that failed is seen, the rest is counted, and nothing is asked a thousand times."""
    items = [many(number) for number in range(1000)]
    items[777] = many(777, state="failed", error="E: " + "x" * 5000)
    world = World(*items)
    began = time.monotonic()
    view = seen(world, *(item.site for item in items))
    text = str(page(sections(view, now=NOW, start_function="arn:aws:lambda:x"), theme="dark"))

    assert time.monotonic() - began < 1
    assert len(text) < 500_000
    assert view.details[0].row.site == "site-777"
    assert (len(view.rows), len(view.details)) == (1000, MOST_DETAILS)
    assert f"and {1000 - MOST_ROWS:,} more<" in text
    assert f"and {1000 - MOST_DETAILS:,} more sites" in text
    assert world.looked_at == 0


def test_many_servers_are_counted_behind_the_bound() -> None:
    """However many there are, so many parameters are asked for; nobody is said to be silent for that."""
    servers = tuple(f"vbr{number:02}" for number in range(20))
    items = [many(number, servers=servers, moved=servers) for number in range(30)]
    words = {one: Word(server=one, report=replace(ADOPTED), seen_at=NOW) for one in servers}
    world = World(*items, words=words)
    view = seen(world, *(item.site for item in items))
    asked = sum(1 + 2 * len(named) for named in world.asked.values())

    assert asked <= MOST_PARAMETERS
    assert len(world.asked) == MOST_DETAILS
    assert {row.level for row in view.rows} == {Level.IN_ORDER}
    assert sum(len(one.servers) + one.more_servers for one in view.details) == 20 * MOST_DETAILS


def row(site: str, level: Level = Level.IN_ORDER, **more: Any) -> SiteRow:
    return SiteRow(site=site, level=level, state="s", **more)


def test_the_table_shows_accounts_where_there_are_several() -> None:
    """One table for the account's dashboard and for the fleet's."""
    one = Read(overview([row("tokyo")], now=NOW, most=9))
    fleet = Read(overview([row("tokyo", account_id="111122223333", region="r-1")], now=NOW, most=9))

    assert "Account" not in one.text
    assert "111122223333r-1tokyo" in fleet.text


def test_the_table_can_show_what_needs_attention_alone() -> None:
    """With the rest left out and not counted as more of the same."""
    rows = [row("a"), row("b", Level.WAITING), row("c", Level.WRONG), row("d", Level.RELEASED)]
    shown_alone = Read(overview(rows, now=NOW, most=1, only_attention=True))
    nothing = Read(overview(rows[:1], now=NOW, most=1, only_attention=True))

    assert "c" in shown_alone.text
    assert "and 1 more" in shown_alone.text
    assert nothing.text == "Nothing needs attention."


def test_the_newest_of_what_is_equally_wrong_comes_first() -> None:
    """Old trouble is known already."""
    rows = [
        row("old", Level.WRONG, said_at=NOW - timedelta(days=9)),
        row("fine"),
        row("new", Level.WRONG, said_at=NOW),
        row("never", Level.WRONG),
    ]

    assert [one.site for one in in_order_of_attention(rows)] == ["new", "old", "never", "fine"]


def test_the_documents_of_the_tests_fit_together() -> None:
    """Otherwise most of the above would be about somebody else's endpoint."""
    assert DOCUMENT.vpc_endpoint_id == ENDPOINT_ID == ADOPTED.vpc_endpoint_id
    assert json.loads(IN_ORDER.to_json())["let_in"] == [ENDPOINT_ID]
