"""
On which resource an AWS operation acts, as an ARN for identity policies; for the services that this project
and its users call.

`needed` returns (action, resource) pairs. Where an ARN can't be derived the resource is `*`, which only a
statement with `Resource: "*"` allows: that errs on the side of refusing, as AWS does for actions without
resource-level permissions.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.aws.calls import AwsCall

Pairs = list[tuple[str, str]]
Parameters = Mapping[str, Any]

# Operations whose action is called differently.
ACTION_BY_OPERATION = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("lambda", "InvokeAsync"): "InvokeFunction",
    ("lambda", "InvokeWithResponseStream"): "InvokeFunction",
    ("dynamodb", "TransactWriteItems"): "PutItem",
    ("dynamodb", "TransactGetItems"): "GetItem",
    ("dynamodb", "BatchGetItem"): "BatchGetItem",
    ("events", "PutEvents"): "PutEvents",
}


def needed(call: AwsCall, account_id: str) -> Pairs:
    """Return what *call* needs, as a caller of *account_id*."""
    operation = call.operation or "Unknown"
    name = f"{call.prefix}:{ACTION_BY_OPERATION.get((call.service, operation), operation)}"
    find = _BY_SERVICE.get(call.service)
    found = find(operation, call.parameters, _Place(call, account_id)) if find is not None else None
    if isinstance(found, list):
        return [(f"{call.prefix}:{action}" if ":" not in action else action, arn) for action, arn in found]
    return [(name, found or "*")]


class _Place:
    """Builds ARNs of one region and account."""

    def __init__(self, call: AwsCall, account_id: str) -> None:
        self.region = call.region
        self.account_id = account_id
        self._prefix = call.prefix

    def arn(self, resource: str) -> str:
        return f"arn:aws:{self._prefix}:{self.region}:{self.account_id}:{resource}"

    def global_arn(self, resource: str) -> str:
        return f"arn:aws:{self._prefix}::{self.account_id}:{resource}"

    def iam(self, resource: str) -> str:
        return f"arn:aws:iam::{self.account_id}:{resource}"


def _as_arn(name: str | None, make: Callable[[str], str]) -> str | None:
    if not name:
        return None
    return name if name.startswith("arn:") else make(name)


def _ssm(operation: str, parameters: Parameters, place: _Place) -> str | Pairs | None:
    def arn(name: str) -> str:
        return name if name.startswith("arn:") else place.arn(f"parameter/{name.lstrip('/')}")

    if operation in ("GetParameters", "DeleteParameters"):
        return [(operation, arn(name)) for name in parameters.get("Names", [])] or None
    if operation == "GetParametersByPath":
        return arn(str(parameters.get("Path", "")).rstrip("/") or "/")
    if operation in ("AddTagsToResource", "ListTagsForResource", "RemoveTagsFromResource"):
        return arn(str(parameters.get("ResourceId", "")))
    if operation == "DescribeParameters":
        return None
    if operation == "PutParameter" and parameters.get("Tags"):
        return [
            (operation, arn(str(parameters["Name"]))),
            ("AddTagsToResource", arn(str(parameters["Name"]))),
        ]
    name = parameters.get("Name")
    return arn(str(name)) if name and "Parameter" in operation else None


def _dynamodb(operation: str, parameters: Parameters, place: _Place) -> str | Pairs | None:
    def arn(name: str) -> str:
        return name if name.startswith("arn:") else place.arn(f"table/{name}")

    if operation == "TransactWriteItems":
        actions = {
            "Put": "PutItem",
            "Update": "UpdateItem",
            "Delete": "DeleteItem",
            "ConditionCheck": "ConditionCheckItem",
        }
        return [
            (actions[kind], arn(item["TableName"]))
            for entry in parameters.get("TransactItems", [])
            for kind, item in entry.items()
        ]
    if operation in ("BatchGetItem", "BatchWriteItem"):
        return [(operation, arn(name)) for name in parameters.get("RequestItems", {})]
    name = parameters.get("TableName")
    if name and parameters.get("IndexName"):
        return f"{arn(str(name))}/index/{parameters['IndexName']}"
    return arn(str(name)) if name else None


def _states(_operation: str, parameters: Parameters, place: _Place) -> str | None:
    found = (
        parameters.get("executionArn") or parameters.get("stateMachineArn") or parameters.get("resourceArn")
    )
    if found:
        return str(found)
    return place.arn(f"stateMachine:{parameters['name']}") if parameters.get("name") else None


def _lambda(_operation: str, parameters: Parameters, place: _Place) -> str | None:
    name = parameters.get("FunctionName")
    if not name:
        return None
    text = str(name)
    arn = text if text.startswith("arn:") else place.arn(f"function:{text}")
    return f"{arn}:{parameters['Qualifier']}" if parameters.get("Qualifier") else arn


def _events(operation: str, parameters: Parameters, place: _Place) -> str | Pairs | None:
    def bus(name: str) -> str:
        return name if name.startswith("arn:") else place.arn(f"event-bus/{name}")

    if operation == "PutEvents":
        buses = dict.fromkeys(
            str(entry.get("EventBusName") or "default") for entry in parameters.get("Entries", [])
        )
        return [(operation, bus(name)) for name in buses]
    if operation == "PutRule" or parameters.get("Rule"):
        name = parameters.get("Name") or parameters.get("Rule")
        of_bus = parameters.get("EventBusName")
        inside = "" if of_bus in (None, "default") else f"{str(of_bus).rsplit('/', 1)[-1]}/"
        return place.arn(f"rule/{inside}{name}")
    return None


def _sns(_operation: str, parameters: Parameters, _place: _Place) -> str | None:
    found = parameters.get("TopicArn") or parameters.get("TargetArn") or parameters.get("ResourceArn")
    return str(found) if found else None


def _sqs(_operation: str, parameters: Parameters, place: _Place) -> str | None:
    url = parameters.get("QueueUrl")
    name = str(url).rsplit("/", 1)[-1] if url else parameters.get("QueueName")
    return place.arn(str(name)) if name else None


def _logs(_operation: str, parameters: Parameters, place: _Place) -> str | None:
    group = parameters.get("logGroupName")
    if not group:
        return None
    stream = parameters.get("logStreamName")
    return place.arn(f"log-group:{group}:{'log-stream:' + str(stream) if stream else '*'}")


def _cloudformation(_operation: str, parameters: Parameters, place: _Place) -> str | None:
    return _as_arn(parameters.get("StackName"), lambda name: place.arn(f"stack/{name}/*"))


def _cloudwatch(operation: str, parameters: Parameters, place: _Place) -> str | Pairs | None:
    # A dashboard belongs to no region.
    if operation in ("GetDashboard", "PutDashboard"):
        return place.global_arn(f"dashboard/{parameters.get('DashboardName')}")
    if operation == "DeleteDashboards":
        names = parameters.get("DashboardNames", [])
        return [(operation, place.global_arn(f"dashboard/{name}")) for name in names]
    return None


def _iam(operation: str, parameters: Parameters, place: _Place) -> str | None:
    for key, kind in (("RoleName", "role"), ("UserName", "user"), ("GroupName", "group")):
        if parameters.get(key):
            return place.iam(f"{kind}/{parameters[key]}")
    if parameters.get("PolicyArn"):
        return str(parameters["PolicyArn"])
    return place.iam(f"policy/{parameters['PolicyName']}") if operation == "CreatePolicy" else None


def _sts(_operation: str, parameters: Parameters, _place: _Place) -> str | None:
    return str(parameters["RoleArn"]) if parameters.get("RoleArn") else None


def _scheduler(_operation: str, parameters: Parameters, place: _Place) -> str | None:
    name = parameters.get("Name")
    return place.arn(f"schedule/{parameters.get('GroupName') or 'default'}/{name}") if name else None


# EC2: the id parameter that names the resource, and its kind in an ARN.
_EC2_IDS = (
    ("VpcEndpointId", "vpc-endpoint"),
    ("GroupId", "security-group"),
    ("NetworkInterfaceId", "network-interface"),
    ("SubnetId", "subnet"),
    ("VpcId", "vpc"),
)
_EC2_KIND_BY_PREFIX = {
    "vpce": "vpc-endpoint",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eni": "network-interface",
    "subnet": "subnet",
    "vpc": "vpc",
    "rtb": "route-table",
}


def _ec2(operation: str, parameters: Parameters, place: _Place) -> str | Pairs | None:
    if operation.startswith("Describe"):
        return None
    if operation == "CreateVpcEndpoint":
        pairs = [("CreateVpcEndpoint", place.arn("vpc-endpoint/*"))]
        pairs += [("CreateVpcEndpoint", place.arn(f"vpc/{parameters.get('VpcId')}"))]
        pairs += [
            ("CreateVpcEndpoint", place.arn(f"subnet/{name}")) for name in parameters.get("SubnetIds", [])
        ]
        pairs += [
            ("CreateVpcEndpoint", place.arn(f"security-group/{name}"))
            for name in parameters.get("SecurityGroupIds", [])
        ]
        return pairs + _tagged_at_creation(parameters, place, "vpc-endpoint")
    if operation == "CreateSecurityGroup":
        pairs = [("CreateSecurityGroup", place.arn("security-group/*"))]
        if parameters.get("VpcId"):
            pairs.append(("CreateSecurityGroup", place.arn(f"vpc/{parameters['VpcId']}")))
        return pairs + _tagged_at_creation(parameters, place, "security-group")
    if operation == "DeleteVpcEndpoints":
        return [
            (operation, place.arn(f"vpc-endpoint/{name}")) for name in parameters.get("VpcEndpointIds", [])
        ]
    if operation == "ModifyVpcEndpoint":
        pairs = [(operation, place.arn(f"vpc-endpoint/{parameters.get('VpcEndpointId')}"))]
        for key, kind in (("SubnetIds", "subnet"), ("SecurityGroupIds", "security-group")):
            for change in ("Add", "Remove"):
                pairs += [
                    (operation, place.arn(f"{kind}/{name}")) for name in parameters.get(f"{change}{key}", [])
                ]
        return pairs
    if operation in ("CreateTags", "DeleteTags"):
        return [
            (operation, place.arn(f"{_EC2_KIND_BY_PREFIX.get(name.split('-', 1)[0], '*')}/{name}"))
            for name in parameters.get("Resources", [])
        ]
    for key, kind in _EC2_IDS:
        if parameters.get(key):
            pairs = [(operation, place.arn(f"{kind}/{parameters[key]}"))]
            if operation.startswith("AuthorizeSecurityGroup"):
                pairs += _tagged_at_creation(parameters, place, "security-group-rule")
            return pairs
    return None


def _tagged_at_creation(parameters: Parameters, place: _Place, kind: str) -> Pairs:
    specifications = [item for item in parameters.get("TagSpecifications", []) if item.get("Tags")]
    return [("CreateTags", place.arn(f"{kind}/*")) for _ in specifications[:1]]


_BY_SERVICE: dict[str, Callable[[str, Parameters, _Place], str | Pairs | None]] = {
    "cloudformation": _cloudformation,
    "cloudwatch": _cloudwatch,
    "dynamodb": _dynamodb,
    "ec2": _ec2,
    "events": _events,
    "iam": _iam,
    "lambda": _lambda,
    "logs": _logs,
    "scheduler": _scheduler,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "stepfunctions": _states,
    "sts": _sts,
}
