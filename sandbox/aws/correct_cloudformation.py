"""
Stacks hold what their template says, or fail and say why.

What moto gets wrong, and AWS does:

- A type it doesn't know is skipped with a warning. AWS fails the stack; so do we, before anything is made.
- A resource that fails leaves the stack CREATE_IN_PROGRESS for ever and the client with an internal error.
  AWS rolls back, and its events say which resource failed and why.
- A changed resource whose type can't be updated becomes nothing. AWS updates or replaces it; here it is
  updated where that is simple, and refused by name where it isn't.
- Resources are removed and changed in any order, removed ones first, and a change of a parameter's default
  or of what a resource refers to is overlooked (`stack_updates.py`).
- A role with a managed policy can't be removed, and a managed policy never is. AWS detaches and removes both.
- Unnamed resources get a new random name with every update. AWS keeps the name.
- Template parameters of the type `AWS::SSM::Parameter::Value` break when the parameter is one of AWS's
  public ones, or missing.
- The bootstrap version rule of CDK templates breaks updates. AWS evaluates it; the sandbox always is
  bootstrapped.
- JSON is read as YAML, which takes seconds for a template of the usual size.
- A custom resource is never done, since its function can't reach moto. The CDK's own that copies objects is
  done here, and any other is an unknown type.
- No "CloudFormation Stack Status Change" event.
- A stack that was made by a change set has no outputs, and a failure in it is nobody's. Change sets of
  several stacks are mixed up when they have one name, and a missing one is called a missing stack.
- The previous value of a parameter that names another one is what that one holds; AWS keeps the name. And
  parameters that are left out aren't those that are given as their defaults.
- `AWS::NoValue` in a list is null. AWS leaves it out.
- Looking at the outputs of a stack that was rolled back makes its resources again.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import CloudFormationError, ValidationError
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.events.models import EventBus
from moto.iam.models import iam_backends
from moto.ssm.models import ssm_backends

from sandbox.aws import cloudformation_types, stack_updates
from sandbox.aws.correct_iam import update_role
from sandbox.aws.moto_pin import Corrections, MotoChangedError
from sandbox.aws.public_parameters import public_parameter

LOGGER = logging.getLogger(__name__)

Emit = Callable[..., None]
LONGEST_NAME = {
    "AWS::IAM::Role": 64,
    "AWS::Lambda::Function": 64,
    "AWS::Events::Rule": 64,
    "AWS::Scheduler::Schedule": 64,
    "AWS::StepFunctions::StateMachine": 80,
    "AWS::SQS::Queue": 80,
}
# Names must differ between accounts here, so moto's random ones stay.
RANDOMLY_NAMED = frozenset({"AWS::S3::Bucket"})
WITH_OUTPUTS = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"})
# Types without Properties that matter, or with a moto implementation that isn't one of a resource.
ALWAYS_KNOWN = frozenset({"AWS::CloudFormation::WaitCondition", "AWS::CloudFormation::WaitConditionHandle"})


class ResourceFailedError(Exception):
    """One resource of a stack can't be made, changed or removed."""

    def __init__(self, logical_id: str, kind: str, cause: Exception) -> None:
        self.logical_id = logical_id
        self.kind = kind
        super().__init__(f"{logical_id} ({kind}): {reason_of(cause)}")


class BucketNotEmptyError(Exception):
    """moto passes over a bucket that holds something; AWS fails the stack."""


def reason_of(error: Exception) -> str:
    """Return what a person should read of *error*; moto hides the text in different places."""
    for name in ("message", "description"):
        text = getattr(error, name, None)
        if isinstance(text, str) and text:
            return text
    return f"{type(error).__name__}: {error}"


def apply(corrections: Corrections, emit: Emit) -> None:
    """Correct CloudFormation; *emit* puts an event on an account's default bus."""
    _types(corrections)
    _references(corrections)
    _names(corrections)
    _resources(corrections)
    _removal(corrections)
    _stacks(corrections, emit)
    _change_sets(corrections)
    _parameters(corrections)


# Types


def _references(corrections: Corrections) -> None:
    """What `AWS::NoValue` stands for isn't there, in lists as well."""

    def clean_json(resource_json: Any, resources_map: Any) -> Any:
        cleaned = original(resource_json, resources_map)
        return [item for item in cleaned if item is not None] if isinstance(resource_json, list) else cleaned

    original = corrections.replace(
        parsing, "clean_json", clean_json, parameters=["resource_json", "resources_map"]
    )
    _bus_reference(corrections)


def _bus_reference(corrections: Corrections) -> None:
    """`Ref` of a bus is its name; moto's has no physical id, so `Ref` gives the object itself."""
    if hasattr(EventBus, "physical_resource_id"):
        raise MotoChangedError("moto's EventBus has a physical id now")
    bus: Any = EventBus
    bus.physical_resource_id = property(lambda self: self.name)
    corrections.on_restore(lambda: delattr(EventBus, "physical_resource_id"))


def _types(corrections: Corrections) -> None:
    def forget() -> None:
        for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
            cached.cache_clear()

    forget()
    in_force = parsing.get_model_map()
    for kind in (*cloudformation_types.TYPES, *cloudformation_types.BETTER_TYPES):
        if in_force.get(kind.TYPE) is not kind:
            raise MotoChangedError(f"{kind.TYPE} isn't the sandbox's own: {in_force.get(kind.TYPE)}")
    moto_has = {
        model.cloudformation_type()
        for model in parsing.get_model_list()
        if model.__module__.startswith("moto.")
    }
    if now_there := moto_has & {kind.TYPE for kind in cloudformation_types.TYPES}:
        raise MotoChangedError(f"moto has {', '.join(sorted(now_there))} by itself now")
    corrections.on_restore(forget)

    def resource_class_from_type(resource_type: str) -> Any:
        if resource_type == cloudformation_types.BucketDeployment.TYPE:
            return cloudformation_types.BucketDeployment
        return original_class(resource_type)

    original_class = corrections.replace(
        parsing, "resource_class_from_type", resource_class_from_type, parameters=["resource_type"]
    )

    def load(self: Any) -> None:
        require_known_types(self._template)
        original_load(self)

    original_load = corrections.replace(parsing.ResourceMap, "load", load, parameters=["self"])


def require_known_types(template: dict[str, Any]) -> None:
    """Fail on the first look at a template with a type that nobody here can make."""
    unknown = {
        resource["Type"]
        for resource in template.get("Resources", {}).values()
        if resource["Type"] not in parsing.get_model_map() and resource["Type"] not in ALWAYS_KNOWN
    }
    if unknown:
        raise ValidationError(
            message=f"Template format error: Unrecognized resource types: [{', '.join(sorted(unknown))}]"
        )


# Names


def _names(corrections: Corrections) -> None:
    of_this_thread = threading.local()

    def parse_and_name(logical_id: str, resource_json: dict[str, Any], resources_map: Any) -> Any:
        of_this_thread.region = resources_map._region_name
        return original_parse(logical_id, resource_json, resources_map)

    original_parse = corrections.replace(
        parsing,
        "parse_resource_and_generate_name",
        parse_and_name,
        parameters=["logical_id", "resource_json", "resources_map"],
    )

    def generate(resource_type: str, stack_name: str, logical_id: str) -> str:
        if resource_type in RANDOMLY_NAMED:
            return str(original(resource_type, stack_name, logical_id))
        # Roles and policies are an account's, not a Region's: two Regions may have stacks of one name.
        place = getattr(of_this_thread, "region", "")
        digest = hashlib.sha256(f"{place}/{stack_name}/{logical_id}".encode()).hexdigest()[:12].upper()
        room = LONGEST_NAME.get(resource_type, 255) - len(digest) - 2
        stack, logical = stack_name, logical_id
        if len(stack) + len(logical) > room:
            stack, logical = stack_name[: room // 2], logical_id[: room - room // 2]
        return f"{stack}-{logical}-{digest}"

    original = corrections.replace(
        parsing,
        "generate_resource_name",
        generate,
        parameters=["resource_type", "stack_name", "logical_id"],
    )


# Resources


def _resources(corrections: Corrections) -> None:
    def create(
        logical_id: str, resource_json: dict[str, Any], resources_map: Any, account_id: str, region_name: str
    ) -> Any:
        try:
            return original_create(logical_id, resource_json, resources_map, account_id, region_name)
        except ResourceFailedError:
            raise
        except Exception as error:
            raise ResourceFailedError(logical_id, resource_json["Type"], error) from error

    def update(
        logical_id: str, resource_json: dict[str, Any], resources_map: Any, account_id: str, region_name: str
    ) -> Any:
        kind = resource_json["Type"]
        try:
            return _updated(
                original_update,
                logical_id,
                resource_json,
                resources_map,
                account_id=account_id,
                region_name=region_name,
            )
        except ResourceFailedError:
            raise
        except Exception as error:
            raise ResourceFailedError(logical_id, kind, error) from error

    names = ["logical_id", "resource_json", "resources_map", "account_id", "region_name"]
    original_create = corrections.replace(parsing, "parse_and_create_resource", create, parameters=names)
    original_update = corrections.replace(parsing, "parse_and_update_resource", update, parameters=names)


def _updated(
    original: Callable[..., Any],
    logical_id: str,
    resource_json: dict[str, Any],
    resources_map: Any,
    *,
    account_id: str,
    region_name: str,
) -> Any:
    condition = resource_json.get("Condition")
    if condition and not resources_map.lazy_condition_map[condition]:
        return None
    kind = resource_json["Type"]
    existing = resources_map._parsed_resources.get(logical_id)
    if existing is None:
        return parsing.parse_and_create_resource(
            logical_id, resource_json, resources_map, account_id, region_name
        )
    in_place = IN_PLACE.get(kind)
    if in_place is None:
        resource_class = parsing.resource_class_from_type(kind)
        if hasattr(resource_class.update_from_cloudformation_json, "__isabstractmethod__"):
            raise NotImplementedError(f"the sandbox can't update an {kind}")
        return original(logical_id, resource_json, resources_map, account_id, region_name)
    cleaned = parsing.clean_json(resource_json, resources_map)
    in_place(existing, cleaned.get("Properties", {}), account_id, region_name)
    return existing


def _update_log_group(group: Any, properties: dict[str, Any], _account: str, _region: str) -> None:
    group.retention_in_days = properties.get("RetentionInDays")


def _update_managed_policy(policy: Any, properties: dict[str, Any], account_id: str, _region: str) -> None:
    backend = iam_backends[account_id]["aws"]
    if len(policy.versions) > 1:
        backend.delete_policy_version(policy.arn, policy.versions[0].version_id)
    backend.create_policy_version(policy.arn, json.dumps(properties["PolicyDocument"]), set_as_default=True)


def _update_table(table: Any, properties: dict[str, Any], _account: str, _region: str) -> None:
    """Accept what doesn't touch the data; a new key would be a new table."""
    keys = {item["AttributeName"]: item["KeyType"] for item in properties["KeySchema"]}
    if {item["AttributeName"]: item["KeyType"] for item in table.schema} != keys:
        raise NotImplementedError("the sandbox can't replace a table by one with other keys")


def _update_parameter(parameter: Any, properties: dict[str, Any], account_id: str, region: str) -> None:
    """Put a new version; moto deletes the parameter and makes it anew, so its versions start again."""
    name = properties.get("Name", parameter.name)
    if name != parameter.name:
        raise NotImplementedError("the sandbox can't rename a parameter")
    backend = ssm_backends[account_id][region]
    backend.put_parameter(
        name=name,
        description=properties.get("Description", ""),
        value=properties["Value"],
        parameter_type=properties.get("Type", "String"),
        allowed_pattern=properties.get("AllowedPattern", ""),
        keyid="",
        overwrite=True,
        tags=[],
        data_type=properties.get("DataType", "text"),
        tier=properties.get("Tier"),
        policies=properties.get("Policies"),
    )


IN_PLACE: dict[str, Callable[[Any, dict[str, Any], str, str], None]] = {
    "AWS::DynamoDB::Table": _update_table,
    "AWS::IAM::ManagedPolicy": _update_managed_policy,
    "AWS::IAM::Role": update_role,
    "AWS::Logs::LogGroup": _update_log_group,
    "AWS::SSM::Parameter": _update_parameter,
}


# Removing


def _removal(corrections: Corrections) -> None:
    def remove(self: Any, parsed_resource: Any, resource_json: dict[str, Any]) -> None:
        backend = iam_backends[self._account_id]["aws"]
        match resource_json["Type"]:
            case "AWS::IAM::Role":
                for managed in list(parsed_resource.managed_policies.values()):
                    managed.detach_from(parsed_resource)
                original(self, parsed_resource, resource_json)
            case "AWS::IAM::ManagedPolicy":
                holders: list[Any] = [
                    *backend.roles.values(),
                    *backend.users.values(),
                    *backend.groups.values(),
                ]
                for holder in holders:
                    if parsed_resource.arn in holder.managed_policies:
                        parsed_resource.detach_from(holder)
                backend.managed_policies.pop(parsed_resource.arn, None)
            case "AWS::S3::Bucket" if parsed_resource.keys:
                raise BucketNotEmptyError(f"the bucket {parsed_resource.name} is not empty")
            case _:
                original(self, parsed_resource, resource_json)

    def delete(self: Any) -> None:
        """Remove the resources in the reverse order of their creation, but for those that are to stay."""
        for name, resource in reversed(list(self._parsed_resources.items())):
            template = self._resource_json_map.get(name)
            if template is None or resource is None:
                continue
            if template.get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate"):
                try:
                    self._delete_resource(resource, template)
                except Exception as error:
                    raise ResourceFailedError(name, template["Type"], error) from error
            del self._parsed_resources[name]

    corrections.replace(parsing.ResourceMap, "delete", delete, parameters=["self"])
    corrections.replace(
        parsing.ResourceMap, "update", stack_updates.update, parameters=["self", "template", "parameters"]
    )
    original = corrections.replace(
        parsing.ResourceMap,
        "_delete_resource",
        remove,
        parameters=["self", "parsed_resource", "resource_json"],
    )


# Stacks


def _stacks(corrections: Corrections, emit: Emit) -> None:
    def create_resources(self: Any) -> None:
        try:
            original_create(self)
        except Exception as error:
            LOGGER.info("stack %s failed", self.name, exc_info=True)
            _event_of_failure(self, error, "CREATE_FAILED")
            self.status = "ROLLBACK_IN_PROGRESS"
            self._add_stack_event("ROLLBACK_IN_PROGRESS", resource_status_reason=reason_of(error))
            _roll_back(self)
            self.status = "ROLLBACK_COMPLETE"
            self._add_stack_event("ROLLBACK_COMPLETE")

    def update(
        self: Any,
        template: str,
        role_arn: str | None = None,
        parameters: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        require_known_types(self.parse_template(template))
        if (
            self.has_template(template)
            and (parameters is None or self.has_parameters(parameters))
            and tags is None
        ):
            raise ValidationError(message="No updates are to be performed.")
        try:
            original_update(self, template, role_arn, parameters, tags)
            if parameters is not None:
                self.parameters = parameters
        except Exception as error:
            LOGGER.info("update of stack %s failed", self.name, exc_info=True)
            _event_of_failure(self, error, "UPDATE_FAILED")
            self.status = "UPDATE_ROLLBACK_FAILED"
            self._add_stack_event("UPDATE_ROLLBACK_FAILED", resource_status_reason=reason_of(error))

    def delete(self: Any) -> None:
        try:
            original_delete(self)
        except ResourceFailedError as error:
            _event_of_failure(self, error, "DELETE_FAILED")
            self.status = "DELETE_FAILED"
            self._add_stack_event("DELETE_FAILED", resource_status_reason=str(error))
            # moto has taken the stack off its list already. AWS tells of the failure in the status only.
            models.cloudformation_backends[self.account_id][self.region_name].stacks[self.stack_id] = self
            raise ValidationError(message=str(error)) from error

    def add_stack_event(
        self: Any,
        resource_status: str,
        resource_status_reason: str | None = None,
        resource_properties: str | None = None,
    ) -> None:
        original_event(self, resource_status, resource_status_reason, resource_properties)
        emit(
            account_id=self.account_id,
            region=self.region_name,
            source="aws.cloudformation",
            detail_type="CloudFormation Stack Status Change",
            detail={
                "stack-id": self.stack_id,
                "status-details": {"status": resource_status, "status-reason": resource_status_reason or ""},
            },
            resources=[self.stack_id],
        )

    def parse_template(template: str) -> dict[str, Any]:
        parsed: dict[str, Any] = (
            json.loads(template) if template.lstrip()[:1] == "{" else original_parse(template)
        )
        parsed.pop("Rules", None)
        return parsed

    def outputs(self: Any) -> Any:
        return original_outputs.fget(self) if self.status in WITH_OUTPUTS else None

    stack = models.Stack
    original_outputs = corrections.replace_value(stack, "outputs", property(outputs), kind=property)
    original_create = corrections.replace(stack, "create_resources", create_resources, parameters=["self"])
    original_update = corrections.replace(
        stack, "update", update, parameters=["self", "template", "role_arn", "parameters", "tags"]
    )
    original_delete = corrections.replace(stack, "delete", delete, parameters=["self"])
    original_event = corrections.replace(
        stack,
        "_add_stack_event",
        add_stack_event,
        parameters=["self", "resource_status", "resource_status_reason", "resource_properties"],
    )
    original_parse = corrections.replace(stack, "parse_template", parse_template, parameters=["template"])


def _event_of_failure(stack: Any, error: Exception, status: str) -> None:
    if not isinstance(error, ResourceFailedError):
        return
    event = models.Event(
        stack_id=stack.stack_id,
        stack_name=stack.name,
        logical_resource_id=error.logical_id,
        physical_resource_id="",
        resource_type=error.kind,
        resource_status=status,
        resource_status_reason=str(error),
        resource_properties=None,
    )
    stack.events.append(event)


def _roll_back(stack: Any) -> None:
    resources = stack.resource_map
    made = {name: resources._parsed_resources.get(name) for name in resources._resource_json_map}
    for name, resource in reversed(list(made.items())):
        if resource is None:
            continue
        try:
            resources._delete_resource(resource, resources._resource_json_map[name])
        except Exception:
            LOGGER.warning("the roll-back of %s left %s behind", stack.name, name, exc_info=True)
        resources._parsed_resources.pop(name, None)


# Change sets


class ChangeSetNotFoundError(CloudFormationError):
    """AWS's clients wait for this very code after they have deleted a change set."""

    code = "ChangeSetNotFound"


def _found(backend: Any, name: str, stack_name: str | None) -> Any:
    """Return the change set of this id, or of this name and stack."""
    for change_set in reversed(list(backend.change_sets.values())):
        of_stack = stack_name in (None, change_set.stack_name, change_set.stack_id)
        if name == change_set.change_set_id or (name == change_set.change_set_name and of_stack):
            return change_set
    raise ChangeSetNotFoundError(f"ChangeSet [{name}] does not exist")


def _change_sets(corrections: Corrections) -> None:
    def describe(self: Any) -> Any:
        backend = self.cloudformation_backend
        return ActionResult(_found(backend, self._get_param("ChangeSetName"), self._get_param("StackName")))

    def delete(self: Any) -> Any:
        backend = self.cloudformation_backend
        try:
            found = _found(backend, self._get_param("ChangeSetName"), self._get_param("StackName"))
        except ChangeSetNotFoundError:
            return EmptyResult()
        del backend.change_sets[found.change_set_id]
        return EmptyResult()

    for name, action in (("describe_change_set", describe), ("delete_change_set", delete)):
        corrections.replace(CloudFormationResponse, name, action, parameters=["self"])

    def execute(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
        change_set = _found(self, change_set_name, stack_name)
        stack = self.get_stack(change_set.stack_id)
        if change_set.change_set_type == "CREATE":
            _create_by_change_set(self, stack, change_set)
        else:
            stack.update(change_set.template, change_set.role_arn, parameters=change_set.parameters)
        change_set.execution_status = "EXECUTE_COMPLETE"

    corrections.replace(
        models.CloudFormationBackend,
        "execute_change_set",
        execute,
        parameters=["self", "change_set_name", "stack_name"],
    )


def _create_by_change_set(backend: Any, stack: Any, change_set: Any) -> None:
    """Do what `create_stack` does, for a stack that is only a name so far."""
    stack.template, stack.parameters = change_set.template, change_set.parameters
    stack._parse_template()
    stack.resource_map = stack._create_resource_map()
    stack.output_map = stack._create_output_map()
    stack._add_stack_event("CREATE_IN_PROGRESS", resource_status_reason="User Initiated")
    stack.create_resources()
    if stack.status in WITH_OUTPUTS:
        backend._validate_export_uniqueness(stack)
        backend.exports.update({export.name: export for export in stack.exports})


# Parameters


def _parameters(corrections: Corrections) -> None:
    def given(self: Any, parameters: dict[str, Any]) -> dict[str, Any]:
        declared = self.template_dict.get("Parameters", {})
        return {name: parameters.get(name, item.get("Default")) for name, item in declared.items()}

    def has_parameters(self: Any, other_parameters: dict[str, Any]) -> bool:
        return given(self, self.parameters) == given(self, other_parameters)

    corrections.replace(
        models.Stack, "has_parameters", has_parameters, parameters=["self", "other_parameters"]
    )
    corrections.replace_value(
        models.Stack,
        "stack_parameters",
        property(lambda self: given(self, self.parameters)),
        kind=property,
    )

    def parse_ssm_parameter(self: Any, value: str, value_type: str) -> Any:
        text = public_parameter(value, self._region_name)
        if text is None:
            found = ssm_backends[self._account_id][self._region_name].get_parameter(value)
            if found is None:
                raise ValidationError(
                    message=f"Unable to fetch parameters [{value}] from parameter store for this account."
                )
            text = str(found.value)
        return text.split(",") if "List" in value_type else text

    corrections.replace(
        parsing.ResourceMap,
        "parse_ssm_parameter",
        parse_ssm_parameter,
        parameters=["self", "value", "value_type"],
    )
