"""Twenty-five accounts in two Regions, and what the demo of them notices."""

import json
import re
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from sandbox.aws.testing import wait_until
from sandbox.fleet import MANAGEMENT, REGIONS, account_number
from tests.conftest import ROOT
from tests.sandbox.aws.processes import living_in_session
from tests.stories.can_fail import assert_noticed_in_the_fleet, tell_of_the_fleet
from tests.stories.mutations import FLEET_MISTAKES, Mutation

pytestmark = pytest.mark.long

ACCOUNTS = 25


def test_25_accounts_in_two_regions_each_run_their_own_workflow(hub_assembly: Path, tmp_path: Path) -> None:
    """Told by the demo, and read once more from the log of AWS calls."""
    told = tell_of_the_fleet(hub_assembly, tmp_path / "state", accounts=ACCOUNTS)

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stderr == ""
    log = tmp_path / "state" / "aws" / "requests.jsonl"
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    published: Counter[tuple[str, str]] = Counter()
    named: defaultdict[str, set[str]] = defaultdict(set)
    for call in calls:
        if not call["source"].startswith("lambda:"):
            continue
        named[call["account"]] |= set(
            re.findall(rf"(?<!\d){MANAGEMENT[:9]}\d{{3}}(?!\d)", json.dumps(call["parameters"]))
        )
        if call["action"] == "PutParameter" and call["status"] == 200:
            published[call["account"], call["region"]] += 1
    # One more has joined. Each of them published its own document, and named nobody else.
    everybody = [account_number(number) for number in range(1, ACCOUNTS + 2)]
    assert published == Counter((account, region) for account in everybody for region in REGIONS)
    assert {account: names for account, names in named.items() if account in everybody} == {
        account: {account} for account in everybody
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_fleet_is_kept_running_and_leaves_no_process(
    hub_assembly: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Functions of many accounts are forked from images, which must not outlive the sandbox either."""
    options = ["--accounts", "3", "--state", str(tmp_path / "state"), "--assembly", str(hub_assembly)]
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "up", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        said = []
        while (line := process.stdout.readline()) not in ("ready\n", ""):
            said.append(line.split()[0])
        wait_until(lambda: len(living_in_session(process.pid)) > 6, what="functions run", seconds=120)
    finally:
        process.send_signal(number)
        process.communicate(timeout=60)

    assert said == ["AWS", "accounts", "page"]
    assert json.loads((tmp_path / "state" / "fleet.json").read_text())["accounts"] == [
        account_number(1),
        account_number(2),
        account_number(3),
    ]
    wait_until(lambda: not living_in_session(process.pid), what="all have ended")


@pytest.mark.parametrize("mistake", FLEET_MISTAKES, ids=lambda mistake: mistake.name)
def test_the_demo_notices(mistake: Mutation, hub_assembly: Path, tmp_path: Path) -> None:
    """A demo that stays green when the product is broken would prove nothing."""
    assert_noticed_in_the_fleet(mistake, assembly=hub_assembly, folder=tmp_path)
