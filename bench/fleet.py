"""
How long StackSets and the workflows take for an organization of 5, 10 and 25 accounts in two Regions.

From the start of the StackSet's operation, which deploys a site into each account and Region, until the last
workflow has ended. The hub's own stack is not in it. What costs the same for any number of accounts, the
first start of each function and the endpoint's pending seconds, is: per account a large organization looks
better by that, so what the rows can show is a time that grows faster than the accounts do.
"""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bench.measure import ROUNDS, Row, interleaved, median
from sandbox.assembly import synthesize
from sandbox.fleet import REGIONS, Fleet, FleetOptions, hub_settings

ROOT = Path(__file__).resolve().parents[1]
ACCOUNTS = (5, 10, 25)
LIMIT = 1.2
PENDING_SECONDS = 1.5
_PATIENCE_SECONDS = 600.0


def measure(folder: Path, *, rounds: int = ROUNDS) -> list[Row]:
    """Measure one deployment of the hub in a new sandbox for each number of accounts and each round."""
    synthesize(ROOT, folder / "cdk.out", settings=hub_settings(ROOT))

    def candidate(accounts: int) -> Callable[[int], float]:
        return lambda number: _per_account(folder, accounts, number)

    taken = interleaved({str(accounts): candidate(accounts) for accounts in ACCOUNTS}, rounds=rounds)
    few = median(taken[str(ACCOUNTS[0])])
    return [
        Row(
            what=f"a site in each of {accounts} accounts and {len(REGIONS)} Regions, time per account",
            against=f"of {ACCOUNTS[0]} accounts",
            unit="s",
            ours=median(taken[str(accounts)]),
            theirs=few,
            limit=LIMIT,
            rounds=rounds,
        )
        for accounts in ACCOUNTS[1:]
    ]


def _per_account(folder: Path, accounts: int, number: int) -> float:
    options = FleetOptions(
        state=folder / f"{accounts}-{number}",
        root=ROOT,
        accounts=accounts,
        pending_seconds=PENDING_SECONDS,
        assembly=folder / "cdk.out",
    )
    with Fleet(options) as fleet:
        fleet.deploy()
        cloudformation = fleet.client("cloudformation")
        [operation] = cloudformation.list_stack_set_operations(StackSetName=fleet.outputs["StackSetName"])[
            "Summaries"
        ]
        started: datetime = operation["CreationTimestamp"]
        ended = max(_ended(fleet, account, region) for region in REGIONS for account in fleet.accounts)
        return (ended - started).total_seconds() / accounts


def _ended(fleet: Fleet, account: str, region: str) -> datetime:
    """Wait until the only run of a site has succeeded; return when that was."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not (runs := fleet.runs(account, region)) or any(run["status"] == "RUNNING" for run in runs):
        if time.monotonic() > give_up:
            raise RuntimeError(f"account {account} in {region}: its run has not ended")
        # Seldom enough that the asking is no load on what is measured.
        time.sleep(0.5)
    [run] = runs
    if run["status"] != "SUCCEEDED":
        raise RuntimeError(f"account {account} in {region}: its run {run['status']}")
    at: datetime = run["stopDate"]
    return at
