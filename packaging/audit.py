#!/usr/bin/env python3
"""
Look for known vulnerabilities of every package that is locked, with pip-audit.

    python packaging/audit.py .audit/bin/pip-audit

pip-audit takes a service that it can't reach, or that doesn't know a package, for "nothing found", and ends
with 0. Here a package that was not looked at is a failure.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class UnreachableError(Exception):
    """Nobody answered: there is no sense in asking about the other files."""


def main() -> int:
    """0 when every package was looked at and none has a known vulnerability."""
    [pip_audit] = sys.argv[1:]
    code = 0
    # The smallest first: without a service it is soon over.
    for file in sorted(ROOT.glob("requirements*.txt"), key=lambda one: one.stat().st_size):
        arguments = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        done = subprocess.run(
            [pip_audit, *arguments, "--requirement", str(file)], capture_output=True, text=True, check=False
        )
        try:
            problems = judge(done.returncode, done.stdout, done.stderr)
        except UnreachableError as error:
            print(f"audit: {error}", file=sys.stderr)
            return 1
        if problems:
            code = 1
        for problem in problems or ["every package was looked at, nothing is known"]:
            print(f"{file.name}: {problem}", file=sys.stderr if problems else sys.stdout)
    return code


def judge(code: int, output: str, errors: str) -> Sequence[str]:
    """
    Say in sentences what is wrong; nothing when all packages were looked at and none is vulnerable.

    Raises UnreachableError when the service has not said a word about any.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError) as error:
        last = (errors.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise UnreachableError(
            "PyPI's vulnerability service can't be reached, or pip-audit failed; "
            f"run `make audit` where it can ({last})"
        ) from error
    unseen = [package["name"] for package in packages if "skip_reason" in package]
    if len(unseen) == len(packages):
        raise UnreachableError(
            "PyPI's vulnerability service can't be reached from here; run `make audit` where it can"
        )
    found = [f"the vulnerability service knows nothing of {name}: it was not looked at" for name in unseen]
    found += [
        f"{package['name']} {package['version']} has {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in packages
        for vulnerability in package.get("vulns", [])
    ]
    if code and not found:
        return [f"pip-audit ended with {code} and named nothing; {errors.strip()[-300:]}"]
    return found


if __name__ == "__main__":
    sys.exit(main())
