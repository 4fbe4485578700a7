"""
What is not as it should be: found by a step, and repaired unless it must not be.

Who changed it, CloudTrail knows; the product only says what it found and what it wanted.
"""

from lambdas.core.step import Request


class Drift(Request):
    """One property of one thing; `why` says why it was left as it is."""

    resource: str
    property: str
    found: str
    wanted: str
    repaired: bool
    why: str | None = None

    def __str__(self) -> str:
        return f"{self.resource}, {self.property}: {self.found} -> {self.wanted}"


ONLY_CHECKED = "this run only checks"
NOT_OURS = "the product did not make it"
