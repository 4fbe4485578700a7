"""
The fleet's page in a browser, with 25 accounts and with as many rows as it takes.

What sites say arrives as events of their accounts; the thousand rows are copies of one that arrived so.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from sandbox.aws.testing import wait_until
from sandbox.console_page import ConsolePage, PageOptions
from sandbox.console_page.dashboards import Viewer
from sandbox.fleet import Fleet, FleetOptions, account_number
from sandbox.page import OPERATOR
from tests.browser.accessibility import serious
from tests.browser.console import ConsoleUser
from tests.conftest import ROOT

ACCOUNTS = [account_number(number) for number in range(1, 26)]
FAILING = ACCOUNTS[6]
HOSTILE = "<img src=x onerror=\"document.title='hostile'\">"
MOST_ROWS = 1000


@pytest.fixture(scope="module", name="fleet")
def _fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A hub that has heard of one site in each of 25 accounts; their stacks aren't needed for that."""
    options = FleetOptions(
        state=tmp_path_factory.mktemp("fleet"), root=ROOT, accounts=0, pending_seconds=0.1, assembly=None
    )
    with Fleet(options) as fleet:
        fleet.deploy()
        for account in ACCOUNTS:
            fleet.organization.add_account(account)
            tell(fleet, account)
        wait_until(lambda: len(items(fleet)) == len(ACCOUNTS), what="the hub heard all", seconds=120)
        yield fleet


def tell(fleet: Fleet, account: str) -> None:
    """Let an account say how its site is."""
    failed = account == FAILING
    detail = {
        "site": "tokyo",
        "state": "failed" if failed else "enforced",
        "intent": "provisioned",
        "enforced": [] if failed else [f"vbr-tokyo-{account}"],
        "error": f"NetworkNotFoundError: {HOSTILE}" if failed else None,
    }
    bus = next(value for key, value in fleet.outputs.items() if "EventBusArn" in key)
    events = fleet.aws.client("events", fleet.aws.root(account))
    answer = events.put_events(
        Entries=[
            {
                "Source": "vbr-privatelink",
                "DetailType": "Site Status",
                "Detail": json.dumps(detail),
                "EventBusName": bus,
            }
        ]
    )
    events.close()

    assert answer["FailedEntryCount"] == 0


def table(fleet: Fleet) -> str:
    """Name the fleet's table."""
    return next(value for key, value in fleet.outputs.items() if "FleetTable" in key)


def items(fleet: Fleet) -> list[dict[str, Any]]:
    """Return what the hub keeps."""
    pages = fleet.client("dynamodb").get_paginator("scan").paginate(TableName=table(fleet))
    return [item for page in pages for item in page["Items"]]


@pytest.fixture(scope="module", name="console")
def _console(fleet: Fleet) -> Iterator[ConsolePage]:
    options = PageOptions(
        viewers={OPERATOR: Viewer(fleet.aws, fleet.operator())},
        account_id=fleet.hub_account,
        region=fleet.aws.options.region,
        backup_server=None,
    )
    with ConsolePage(options) as console:
        yield console


@pytest.fixture(name="user")
def _user(browser: Browser, console: ConsolePage) -> Iterator[ConsoleUser]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield ConsoleUser(context.new_page(), console.url)
    context.close()


def rows(page: Page) -> list[str]:
    """Return the rows of the fleet's table, as a person reads them."""
    return page.locator(".widget table.overview tbody tr").all_inner_texts()


def sentences(page: Page) -> str:
    """Return what stands around the table."""
    return " ".join(page.locator(".widget p").all_inner_texts())


def test_25_accounts_and_the_one_that_failed_comes_first(user: ConsoleUser) -> None:
    """Whatever an account says of itself is text."""
    user.refresh()
    shown = rows(user.page)

    assert len(shown) == len(ACCOUNTS)
    assert FAILING in shown[0]
    assert HOSTILE in shown[0]
    assert sorted(re.findall(r"\b1000000000\d\d\b", " ".join(shown))) == ACCOUNTS
    assert "25 sites in 25 accounts" in sentences(user.page)
    assert "hostile" not in user.page.title()
    assert serious(user.page) == []


def test_as_many_rows_as_it_takes(user: ConsoleUser, fleet: Fleet) -> None:
    """More are counted, not drawn; and the page never grows wider than the window."""
    [kept] = [item for item in items(fleet) if item["account"]["S"] == ACCOUNTS[0]]
    dynamodb = fleet.client("dynamodb")
    for start in range(0, MOST_ROWS, 25):
        puts = [
            {"PutRequest": {"Item": {**kept, "account": {"S": str(200000000000 + number)}}}}
            for number in range(start, start + 25)
        ]
        dynamodb.batch_write_item(RequestItems={table(fleet): puts})
    user.refresh()
    shown = rows(user.page)

    assert len(shown) == MOST_ROWS
    assert FAILING in shown[0]
    assert "1,025 sites in 1,025 accounts" in sentences(user.page)
    assert "and 25 more" in sentences(user.page)
    width = user.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1280
