"""
AWS's own managed policies exist.

moto: none of them (or all 1,300, which takes a while for each account).
AWS: all. Here the ones that templates and users of this project attach; another one is refused as unknown,
so it is noticed.
"""

import functools
import json
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend

from sandbox.aws.moto_pin import Corrections

POLICIES = (
    "AdministratorAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSSMReadOnlyAccess",
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSXRayDaemonWriteAccess",
    "CloudWatchLambdaInsightsExecutionRolePolicy",
    "PowerUserAccess",
    "ReadOnlyAccess",
)


@functools.cache
def _data() -> dict[str, Any]:
    everything = json.loads(aws_managed_policies_data)
    return {name: everything[name] for name in POLICIES}


def apply(corrections: Corrections) -> None:
    """Give each account the policies above."""

    def init_aws_policies(self: Any) -> list[Any]:
        return [
            AWSManagedPolicy.from_data(name, self.account_id, self.region_name, data)
            for name, data in _data().items()
        ]

    corrections.replace(IAMBackend, "_init_aws_policies", init_aws_policies, parameters=["self"])
