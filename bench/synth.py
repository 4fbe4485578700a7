"""How long it takes to synthesize all stacks."""

import json
from pathlib import Path

from bench.measure import ROUNDS, Row, median, timed
from sandbox.assembly import synthesize

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 10.0
ORGANIZATION = ROOT / "examples" / "organization.json"


def measure(folder: Path, *, rounds: int = ROUNDS) -> list[Row]:
    """Measure cdk.json's own stack and the organization's example, after one run that warms the files up."""
    rows = []
    for what, settings in (("one account", None), ("an organization", json.loads(ORGANIZATION.read_text()))):
        taken = [
            timed(
                lambda number=number, settings=settings: synthesize(
                    ROOT, folder / f"{number}", settings=settings
                )
            )
            for number in range(rounds + 1)
        ]
        rows.append(
            Row(
                what=f"synth of all stacks, {what}",
                against="",
                unit="s",
                ours=median(taken[1:]),
                theirs=None,
                limit=LIMIT_SECONDS,
                rounds=rounds,
            )
        )
    return rows
