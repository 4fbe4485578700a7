"""
Measure everything and print the table; results go to bench/results.json, the page to docs/performance.md.

    python -m bench [--only NAME ...] [--rounds N]

Nothing else should run meanwhile: ratios bear a busy machine, but not every one of them.
"""

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import client_run, cloud, fleet, imports, page, region_file, synth, windows_run
from bench.measure import ROUNDS, Row
from sandbox.assembly import synthesize

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results.json")
TOOLS = ROOT / ".bench" / "bin" / "python"


def main() -> int:
    """Return 0 when every figure is within its limit."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure the product side by side.")
    parser.add_argument("--only", nargs="+", choices=sorted(_PARTS), default=sorted(_PARTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="at least 5 for a figure that is kept")
    options = parser.parse_args()
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    parts: dict[str, Any] = kept.get("parts", {})
    for name in options.only:
        print(f"{name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                parts[name] = _PARTS[name](Path(folder), options.rounds) | {"machine": _machine()}
            except subprocess.CalledProcessError as error:
                print(f"{error.cmd} ended with {error.returncode}:\n{error.output}", file=sys.stderr)
                return 1
    RESULTS.write_text(json.dumps({"parts": parts}, indent=1, sort_keys=True) + "\n")
    rows = page.rows_of(parts)
    print(page.table(rows))
    page.write(parts)
    return 0 if all(row.reached for row in rows) else 1


def _machine() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def _rows(rows: list[Row], **more: Any) -> dict[str, Any]:
    return {"rows": [dataclasses.asdict(row) for row in rows], **more}


def _cloud(folder: Path, rounds: int) -> dict[str, Any]:
    rows, counted = cloud.measure(folder, rounds=rounds)
    counts = {
        kind: dataclasses.asdict(one) | {"minimum": cloud.MINIMUM[kind]} for kind, one in counted.items()
    }
    return _rows(rows, counts=counts)


def _imports(folder: Path, rounds: int) -> dict[str, Any]:
    synthesize(ROOT, folder / "cdk.out")
    return _rows(imports.measure(folder, folder / "cdk.out", rounds=rounds))


def _region_file(folder: Path, rounds: int) -> dict[str, Any]:
    return _rows(region_file.measure(folder, python=TOOLS, rounds=max(rounds, 15)))


def _client(folder: Path, rounds: int) -> dict[str, Any]:
    return _rows(client_run.measure(folder, rounds=rounds))


def _synth(folder: Path, rounds: int) -> dict[str, Any]:
    return _rows(synth.measure(folder, rounds=rounds))


def _fleet(folder: Path, rounds: int) -> dict[str, Any]:
    return _rows(fleet.measure(folder, rounds=rounds))


def _windows(_folder: Path, rounds: int) -> dict[str, Any]:
    return _rows(windows_run.measure(rounds=rounds))


_PARTS: Mapping[str, Callable[[Path, int], dict[str, Any]]] = {
    "client": _client,
    "cloud": _cloud,
    "fleet": _fleet,
    "imports": _imports,
    "region-file": _region_file,
    "synth": _synth,
    "windows": _windows,
}


if __name__ == "__main__":
    sys.exit(main())
