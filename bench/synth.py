"""How long it takes to synthesize all stacks."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.measure import ROUNDS, Row, median, timed
from sandbox.assembly import synthesize

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 10.0
ORGANIZATION = ROOT / "examples" / "organization-three-regions" / "cdk.json"


def measure(folder: Path, *, rounds: int = ROUNDS) -> list[Row]:
    """Measure cdk.json's own stack and the organization's example, after one run that warms the files up."""
    rows = []
    for what, settings in (
        ("one account", None),
        ("an organization", json.loads(ORGANIZATION.read_text())["context"]["settings"]),
    ):
        taken = [_once(folder / f"{number}", settings) for number in range(rounds + 1)]
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


def _once(output: Path, settings: Mapping[str, Any] | None) -> float:
    return timed(lambda: synthesize(ROOT, output, settings=settings))
