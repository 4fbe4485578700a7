"""
The form of a check, and running some.

A check that can't look (no key is configured, the network is a stand-in) is neither good nor bad.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onprem_client.checks.protocols import NetworkError
from onprem_client.errors import ClientError

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look has shown; `ok` is None when it could not look."""

    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must be so; `required` ones before a restart, and again before `adopted` is reported."""

    id: str
    title: str
    why: str
    remedy: str
    look: Callable[[], Finding]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A check with its finding."""

    check: Check
    finding: Finding

    def __str__(self) -> str:
        word = {True: "ok", False: "FAILED", None: "not checked"}[self.finding.ok]
        return f"{self.check.id}: {word}: {self.finding.detail}"


def look(checks: Iterable[Check]) -> list[Checked]:
    """Run the checks in their order; an error is a finding."""
    return [Checked(check=check, finding=_finding(check)) for check in checks]


def failing(checked: Iterable[Checked]) -> list[Checked]:
    """Return those that are not as they should be."""
    return [one for one in checked if one.finding.ok is False]


def _finding(check: Check) -> Finding:
    try:
        found = check.look()
    except (ClientError, NetworkError) as error:
        return Finding(False, str(error)[:_LONGEST])
    return Finding(found.ok, found.detail[:_LONGEST])
