"""
AWS's own managed policies exist, and roles get what their template says.

moto: none of them (or all 1,300, which takes a while for each account); a role that is made by a template has
no managed policies, and one that is changed by it keeps its trust and its policies.
AWS: all. Here the ones that templates and users of this project attach; another one is refused as unknown,
so it is noticed.
"""

import functools
import json
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, Role, iam_backends

from sandbox.aws.moto_pin import Corrections

POLICIES = (
    "AdministratorAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSSMReadOnlyAccess",
    "AWSCloudFormationReadOnlyAccess",
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

    def create(
        cls: Any,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> Any:
        role = original_create(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
        _attach(role, cloudformation_json["Properties"], account_id)
        return role

    original_create = corrections.replace(
        Role,
        "create_from_cloudformation_json",
        create,
        parameters=["cls", "resource_name", "cloudformation_json", "account_id", "region_name", "kwargs"],
    )


def update_role(role: Any, properties: dict[str, Any], account_id: str, _region: str) -> None:
    """Give a role what its template says now."""
    if properties.get("RoleName", role.name) != role.name:
        raise NotImplementedError("the sandbox can't rename a role")
    trust = properties["AssumeRolePolicyDocument"]
    role.assume_role_policy_document = trust if isinstance(trust, str) else json.dumps(trust)
    role.description = properties.get("Description", "")
    for name in getattr(role, "inline_of_template", ()):
        role.policies.pop(name, None)
    for policy in properties.get("Policies", []):
        role.put_policy(policy["PolicyName"], policy["PolicyDocument"])
    for arn in set(getattr(role, "managed_of_template", ())) - set(properties.get("ManagedPolicyArns", [])):
        iam_backends[account_id]["aws"].detach_role_policy(arn, role.name)
    _attach(role, properties, account_id)


def _attach(role: Any, properties: dict[str, Any], account_id: str) -> None:
    role.inline_of_template = [policy["PolicyName"] for policy in properties.get("Policies", [])]
    role.managed_of_template = list(properties.get("ManagedPolicyArns", []))
    for arn in role.managed_of_template:
        iam_backends[account_id]["aws"].attach_role_policy(arn, role.name)
