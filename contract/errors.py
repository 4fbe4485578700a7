"""
What is wrong with a document or a name.

    ContractError (ValueError)
    └── UnknownVersionError    the document is of a version that this program doesn't know
"""


class ContractError(ValueError):
    """A document or a name that breaks the rules; the message names the field and the fix."""

    def __init__(self, field: str, problem: str, *, pattern: str | None = None) -> None:
        self.field = field
        self.problem = problem
        # What the whole value would have to match, for those who describe the rules to an editor.
        self.pattern = pattern
        super().__init__(f"{field}: {problem}")


class UnknownVersionError(ContractError):
    """The document's schema_version is not one that this program reads."""
