"""What the ARN of an execution tells: partition, Region, account and the run's name."""

import re
from dataclasses import dataclass
from typing import Self

from contract import names
from lambdas.core.errors import InvalidRequestError

# arn:<partition>:states:<region>:<account>:execution:<state machine>:<name>
# Step Functions takes more characters in a name, but tags and the published document do not.
_ARN = re.compile(
    r"arn:(?P<partition>[a-z-]+):states:(?P<region>[^:]+):(?P<account>[^:]+):execution:[^:]+:"
    r"(?P<name>[A-Za-z0-9._-]{1,80})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of the workflow; everything it makes is in its own account and Region."""

    arn: str
    partition: str
    region: names.Region
    account_id: names.AccountId
    name: str

    @classmethod
    def from_arn(cls, arn: str) -> Self:
        """Read the ARN that Step Functions puts into the context object."""
        match = _ARN.fullmatch(arn)
        if match is None:
            raise InvalidRequestError(
                f"execution: {names.shown(arn)} is not the ARN of an execution whose name has only letters, "
                "digits, dots, hyphens and underscores; start it under such a name"
            )
        return cls(
            arn=arn,
            partition=match["partition"],
            region=names.region(match["region"]),
            account_id=names.account_id(match["account"]),
            name=match["name"],
        )
