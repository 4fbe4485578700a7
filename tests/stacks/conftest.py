"""One synth of each kind for all tests of a session."""

import json

import pytest

from tests.stacks.synthesized import HUB, ROOT, STACK_SET, Synthesized, synthesize


@pytest.fixture(name="synthesized", scope="session")
def _synthesized(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    folder = tmp_path_factory.mktemp("synth") / "cdk.out"
    answer = synthesize(folder)
    assert answer.returncode == 0, answer.stderr
    return Synthesized(folder)


@pytest.fixture(name="twelve_sites", scope="session")
def _twelve_sites(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """
    The app with as many sites as no rule has room for, started by its deployment.

    The first has an immutable bucket beside its own, and VBR's user with two keys.
    """
    settings = json.loads((ROOT / "cdk.json").read_text())["context"]["settings"]
    (site,) = settings["sites"]
    settings["sites"] = [{**site, "site": f"site-{number}"} for number in range(12)]
    locked = {"name": "locked-backups", "folder": "locked", "immutability_days": 14}
    settings["sites"][0]["buckets"] = [*site["buckets"], locked]
    settings["backup_users"] = [{"site": "site-0", "keys": [3, 4]}]
    folder = tmp_path_factory.mktemp("twelve") / "cdk.out"
    answer = synthesize(folder, context={"settings": {**settings, "start_on_deployment": True}})
    assert answer.returncode == 0, answer.stderr
    return Synthesized(folder)


@pytest.fixture(name="hub", scope="session")
def _hub(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """The hub of the example, with its StackSet beside it, and VBR's user in each account."""
    folder = tmp_path_factory.mktemp("hub") / "cdk.out"
    context = json.loads((ROOT / "tests/stacks/organization.json").read_text())
    site = context["settings"]["sites"][0]["site"]
    context["settings"]["backup_users"] = [{"site": site, "keys": [1]}]
    answer = synthesize(folder, context=context)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return Synthesized(folder, f"{HUB}.template.json")


@pytest.fixture(name="stack_set", scope="session")
def _stack_set(hub: Synthesized) -> Synthesized:
    """What the hub brings into every account."""
    (template,) = hub.folder.glob(STACK_SET)
    return Synthesized(hub.folder, template.name)
