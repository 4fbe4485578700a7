"""
The whole story, told by a person at the page: press, watch the backup server move, release.

What came of it is judged by AWS's own log and resources, and by the backup server's files.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, expect

from sandbox.console_page import ConsolePage
from sandbox.page import OPERATOR, READER, console_page, scheduled_task
from sandbox.running import Sandbox, SandboxOptions, settings_with_server
from tests.browser.accessibility import serious
from tests.browser.console import ConsoleUser
from tests.conftest import ROOT

SITE = "tokyo"
TAGGED = "backups-of-somebody-else"
TAG = "<img src=x onerror=\"document.title='hostile'\">"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The sandbox and its page."""

    sandbox: Sandbox
    page: ConsolePage

    def started(self) -> list[str]:
        """Who has started executions, in order, from AWS's log."""
        return [
            str(call["source"])
            for call in self.sandbox.aws.requests()
            if call["action"] == "StartExecution" and call["status"] == 200
        ]

    def endpoints(self) -> list[str]:
        """The ids of the endpoints that are there."""
        found = self.sandbox.aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        return [each["VpcEndpointId"] for each in found if each["State"] not in ("deleting", "deleted")]


@pytest.fixture(scope="module", name="world")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = settings_with_server(ROOT)
    [site] = settings["sites"]
    settings["sites"] += [
        {**site, "site": "osaka", "buckets": [{"name": TAGGED, "folder": "osaka", "immutability_days": 0}]}
    ]
    options = SandboxOptions(
        state=tmp_path_factory.mktemp("sandbox"),
        root=ROOT,
        pending_seconds=1.0,
        assembly=None,
        settings=settings,
        existing=(TAGGED,),
    )
    with (
        Sandbox(options) as sandbox,
        scheduled_task(sandbox, packages=ROOT, every=None) as task,
        console_page(sandbox, viewers=(OPERATOR, READER), task=task) as page,
    ):
        yield World(sandbox=sandbox, page=page)


@pytest.fixture(name="user")
def _user(browser: Browser, world: World) -> Iterator[ConsoleUser]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield ConsoleUser(context.new_page(), world.page.url)
    context.close()


def test_neither_looking_nor_cancelling_starts_anything(user: ConsoleUser, world: World) -> None:
    """A dashboard hangs on a wall and refreshes all day."""
    user.see("not provisioned", site=SITE)
    for _ in range(3):
        user.refresh()
    user.page.locator("#theme").select_option("dark")
    for button in ("Provision", "Check for drift", "Release"):
        user.button(button, site=SITE).click()
        expect(user.page.locator("#confirmation-text")).to_contain_text(SITE)
        user.answer("Cancel")

    assert world.started() == []
    assert world.endpoints() == []


def test_a_reader_sees_the_same_and_can_press_nothing(user: ConsoleUser, world: World) -> None:
    """IAM decides: the function that starts runs is called with the viewer's own permissions."""
    user.page.locator("#viewer").select_option(READER)
    user.see("not provisioned", site=SITE)
    said = user.press("Provision", site=SITE)

    assert "user/dashboard-reader is not authorized to perform: lambda:InvokeFunction" in said
    assert world.started() == []


def test_pressed_adopted_released_and_gone(user: ConsoleUser, world: World) -> None:
    """Each step is seen on the page, and is true outside of it."""
    user.see("not provisioned", site=SITE)

    assert "Provisioning site tokyo has begun" in user.press("Provision", site=SITE)
    user.see("At work", site=SITE)
    user.see("locked to its endpoint", site=SITE)
    [endpoint] = world.endpoints()
    assert endpoint in user.site(SITE).inner_text()
    expect(user.page.locator("#backup-server")).to_contain_text("Through Amazon's public endpoints")

    user.run_client()
    user.see("In order", site=SITE)
    expect(user.site(SITE).get_by_text("Uses the endpoint")).to_be_visible()
    expect(user.page.locator("#backup-server")).to_contain_text("Through the interface endpoint")
    regions = (world.sandbox.vbr.install_dir / "AmazonS3Regions.xml").read_bytes()
    assert endpoint.encode() in regions

    assert "Releasing site tokyo has begun" in user.press("Release", site=SITE)
    user.see("Waits for", site=SITE)
    assert world.endpoints() == [endpoint]

    user.run_client()
    user.see("Released", site=SITE)
    expect(user.site(SITE).get_by_text("Went back")).to_be_visible()
    expect(user.page.locator("#backup-server")).to_contain_text("Through Amazon's public endpoints")
    assert world.endpoints() == []
    pressed = [source for source in world.started() if "customWidget" in source]
    assert len(pressed) == 2


def test_what_others_have_written_is_shown_as_text(user: ConsoleUser, world: World) -> None:
    """A bucket's tag that ends up in an error, a server's report, and an item of the table."""
    aws = world.sandbox.aws
    aws.client("s3").put_bucket_tagging(
        Bucket=TAGGED, Tagging={"TagSet": [{"Key": "vbr-privatelink", "Value": TAG}]}
    )
    hostile = "<script>document.title = 'hostile'</script>"
    aws.client("dynamodb").put_item(
        TableName=world.sandbox.sites_table,
        Item={
            "site": {"S": f"nagoya{hostile}"},
            "status": {"S": json.dumps({"state": "failed", "intent": "provisioned", "error": hostile})},
        },
    )
    user.press("Provision", site="osaka")
    user.see(TAG, site="osaka")

    assert user.page.get_by_text(f"nagoya{hostile}").count() > 0
    assert user.page.get_by_text(f"The last run failed: {hostile}").count() > 0
    assert "hostile" not in user.page.title()
    assert user.page.locator("img").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(user: ConsoleUser, theme: str) -> None:
    """Contrast, names, order and landmarks, with and without a dialog, wide and narrow."""
    user.page.locator("#theme").select_option(theme)
    user.refresh()
    assert serious(user.page) == []
    user.button("Provision", site=SITE).click()
    expect(user.page.locator("#confirmation")).to_be_visible()
    assert serious(user.page) == []
    user.answer("Cancel")
    user.page.set_viewport_size({"width": 400, "height": 800})

    assert serious(user.page) == []


def test_every_button_can_be_reached_with_the_tab_key(user: ConsoleUser) -> None:
    """CloudWatch adds nothing to a widget: what the widget makes must be reachable by itself."""
    user.see("tokyo", site=SITE)
    wanted = {f"{words}: site {SITE}" for words in ("Provision", "Check for drift", "Release")}
    reached: set[str] = set()
    for _ in range(60):
        user.page.keyboard.press("Tab")
        reached.add(
            user.page.evaluate(
                "() => { let e = document.activeElement; while (e?.shadowRoot?.activeElement)"
                " e = e.shadowRoot.activeElement; return e?.getAttribute('aria-label') ?? '' }"
            )
        )

    assert wanted <= reached
