"""What several folders of tests share."""

import fcntl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.assembly import synthesize
from sandbox.fleet import hub_settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", name="assembly")
def _assembly(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The synthesized app, made once for all workers: it takes seconds, and nobody writes to it."""
    return _synthesized_once(tmp_path_factory, worker_id, "assembly", None)


@pytest.fixture(scope="session", name="hub_assembly")
def _hub_assembly(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The same with a hub for many accounts."""
    return _synthesized_once(tmp_path_factory, worker_id, "hub-assembly", hub_settings(ROOT))


def _synthesized_once(
    factory: pytest.TempPathFactory, worker_id: str, name: str, settings: Mapping[str, Any] | None
) -> Path:
    shared = factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            synthesize(ROOT, folder, settings=settings)
            (folder / "complete").touch()
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have counted: each says it by record_property("figures", ...)."""
    reports: Iterable[object] = [
        report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)
    ]
    figures = [
        f"{value}"
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == "figures"
    ]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)
