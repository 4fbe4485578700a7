"""The pictures of the README: the page on a sandbox, from a site that needs provisioning to one in order."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from sandbox.page import OPERATOR, READER, console_page, scheduled_task
from sandbox.running import Sandbox, SandboxOptions, settings_with_server
from tests.browser.chromium import install, launched
from tests.browser.console import ConsoleUser
from tests.conftest import ROOT

IMAGES = ROOT / "docs" / "images"
WIDE = 1280
NARROW = 400
SITE = "tokyo"


def draw() -> None:
    """Write docs/images/dashboard-*.png."""
    install()
    with tempfile.TemporaryDirectory(prefix="vbr-privatelink-") as folder:
        options = SandboxOptions(
            # The client's output is in the pictures: a short path in it, and none of this machine's.
            state=Path(folder),
            root=ROOT,
            pending_seconds=1.0,
            assembly=None,
            settings=settings_with_server(ROOT),
        )
        with (
            Sandbox(options) as sandbox,
            scheduled_task(sandbox, packages=ROOT, every=None) as task,
            console_page(sandbox, viewers=(OPERATOR, READER), task=task) as page,
            launched() as browser,
        ):
            context = browser.new_context(viewport={"width": WIDE, "height": 720}, color_scheme="light")
            _tell(ConsoleUser(context.new_page(), page.url))


def _tell(user: ConsoleUser) -> None:
    user.see("not provisioned", site=SITE)
    user.button("Provision", site=SITE).click()
    expect(user.page.locator("#confirmation")).to_be_visible()
    _take(user.page, "dashboard-confirmation", whole=False)
    user.answer("Cancel")
    user.press("Provision", site=SITE)
    user.see("locked to its endpoint", site=SITE)
    user.run_client()
    user.see("In order", site=SITE)
    _take(user.page, "dashboard-in-order")
    user.page.locator("#theme").select_option("dark")
    user.page.set_viewport_size({"width": NARROW, "height": 800})
    user.refresh()
    _take(user.page, "dashboard-narrow-dark")


def _take(page: Page, name: str, *, whole: bool = True) -> None:
    file = IMAGES / f"{name}.png"
    page.screenshot(path=file, full_page=whole, animations="disabled")
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1024} KB", flush=True)
