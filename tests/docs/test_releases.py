"""Habits of a release: what the hosted workflow runs, and what a user finds in the changelog."""

import re

from tests.conftest import ROOT


def test_the_hosted_workflow_runs_what_a_developer_runs() -> None:
    """Two lists of checks would drift apart; nobody notices before a release."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    commands = re.findall(r"(?m)^\s+run: (.*)$", text)

    assert commands[-1] == ".ci/run"
    assert not any(re.search(r"pytest|ruff|mypy|(^|& )make ", command) for command in commands)


def test_no_workflow_may_write() -> None:
    """A token that can push is what an attacker of a dependency looks for."""
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

    assert workflows
    for workflow in workflows:
        text = workflow.read_text(encoding="utf-8")
        assert "permissions:\n  contents: read\n" in text, workflow.name
        assert ": write" not in text, workflow.name


def test_every_version_in_the_changelog_says_whether_the_client_must_be_upgraded() -> None:
    """The one question that a backup administrator asks of a new version of the cloud side."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"(?ms)^## (.*?)\n(.*?)(?=^## |\Z)", text)

    assert versions
    for name, said in versions:
        assert name == "Unreleased" or re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\)", name), name
        assert "Must the client be upgraded?" in said.split("\n- ")[0], name
