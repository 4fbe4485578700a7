"""What a person does on the page, and how they wait for what comes of it."""

import time

from playwright.sync_api import Locator, Page

PATIENCE_SECONDS = 90.0


class ConsoleUser:
    """Somebody in front of the page; waiting means pressing Refresh again and again, as people do."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.goto(url)
        # What refreshes by itself would make the log of calls, and the pictures, a matter of luck.
        page.locator("#interval").select_option("0")

    def site(self, name: str) -> Locator:
        """The section of a site."""
        return self.page.get_by_role("region", name=name, exact=True)

    def button(self, words: str, *, site: str) -> Locator:
        """A button of a site, by what a screen reader says."""
        return self.page.get_by_role("button", name=f"{words}: site {site}", exact=True)

    def answer(self, word: str) -> None:
        """Press a button of the confirmation."""
        self.page.locator("#confirmation").get_by_role("button", name=word).click()

    def press(self, words: str, *, site: str) -> str:
        """Press a button of a site, say OK, and return what the popup says then."""
        self.button(words, site=site).click()
        self.answer("OK")
        said = self.page.locator("#popup-content .content > *").last.inner_text()
        self.page.locator("#popup").get_by_role("button", name="Close").click()
        return said

    def refresh(self) -> None:
        """Press Refresh, and wait until all widgets have been drawn."""
        self.page.locator("#refresh").click()
        self.page.wait_for_selector(".widget:not([aria-busy])")

    def see(self, words: str, *, site: str) -> None:
        """Refresh until the section of the site has *words* in it."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while words not in (shown := self.site(site).inner_text()):
            assert time.monotonic() < give_up, f"{site} does not say {words!r} but: {shown}"
            self.refresh()
            self.page.wait_for_timeout(200)

    def run_client(self) -> str:
        """Let the backup server's client run, and return what the page shows of its output."""
        button = self.page.get_by_role("button", name="Run the client now")
        before = self.page.locator("#backup-server-facts").inner_text()
        button.click()
        self.page.wait_for_function(
            "before => !document.getElementById('run-client').disabled"
            " && document.getElementById('backup-server-facts').innerText !== before",
            arg=before,
        )
        return self.page.locator("#client-output").inner_text()
