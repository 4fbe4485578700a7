"""Debian's Chromium: where it is, how it gets there, and how it is started."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

PACKAGE = "chromium"


class ChromiumError(Exception):
    """There is no Chromium here; the message is one sentence for a person."""


def install() -> None:
    """Install Debian's Chromium unless some Chromium is there; needs root, once."""
    if shutil.which(PACKAGE):
        return
    if not shutil.which("apt-get"):
        raise ChromiumError("chromium is not installed, and without apt-get this can't install it")
    if os.geteuid() != 0:
        raise ChromiumError(
            "chromium is not installed, and installing it needs root: "
            "run `apt-get install --no-install-recommends chromium` as root, then try again"
        )
    print("installing Debian's chromium", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", PACKAGE]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise ChromiumError(f"`apt-get {' '.join(command)}` failed: {last}")


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Start it without a window; it ends with the block."""
    program = shutil.which(PACKAGE)
    if program is None:
        raise ChromiumError("chromium is not installed; run `python -m tests.browser install`")
    # Chromium refuses to give root its sandbox. It is shown nothing but our own page.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
