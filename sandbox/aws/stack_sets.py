"""
StackSets: the same stack in many accounts and Regions.

SERVICE_MANAGED deploys into the accounts of organizational units, and follows accounts that join and leave
them when automatic deployment is on; SELF_MANAGED deploys into accounts that are named, by way of the two
roles, which are asked. Operations run one after the other in the background, one stack at a time: Regions
in order, and in each Region until more accounts have failed than are tolerated; then the rest is cancelled.

An instance whose stack failed keeps the stack as it is, for somebody to look at; the next operation removes
it if it never stood, and tries again.
"""

import collections
import dataclasses
import datetime as dt
import json
import logging
import queue
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from moto.cloudformation import models
from moto.cloudformation.exceptions import (
    StackInstanceNotFound,
    StackSetNotEmpty,
    StackSetNotFoundException,
    ValidationError,
)
from moto.core.exceptions import ServiceException

from sandbox.aws import authorization, organization
from sandbox.aws.authorization import DeniedError
from sandbox.aws.identity import service_principal

LOGGER = logging.getLogger(__name__)

LARGEST_BODY = 51_200
LARGEST_TEMPLATE = 1_000_000
ADMINISTRATION_ROLE = "AWSCloudFormationStackSetAdministrationRole"
EXECUTION_ROLE = "AWSCloudFormationStackSetExecutionRole"
STANDING = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
# Stacks that never stood: StackSets removes them before it tries again.
FALLEN = frozenset({"ROLLBACK_COMPLETE", "CREATE_FAILED", "DELETE_FAILED"})
Place = tuple[str, str]
"""Account and Region."""


class StackSetError(ServiceException):
    """An error of the service, by AWS's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OperationFailedError(Exception):
    """An operation failed that CloudFormation had waited for."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Instance:
    """One stack of the set; `overrides` are its own values of parameters."""

    place: Place
    unit_id: str | None
    overrides: dict[str, str]
    stack_id: str | None = None
    status: str = "OUTDATED"
    detailed_status: str = "PENDING"
    reason: str | None = None
    operation_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was asked for: it also says what an account gets that joins one of the units later."""

    units: tuple[str, ...]
    accounts: tuple[str, ...]
    account_filter: str
    regions: tuple[str, ...]
    overrides: Mapping[str, str]

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Target":
        """Read the parameters of CreateStackInstances, or one group of a template."""
        targets = parameters.get("DeploymentTargets") or {}
        return cls(
            units=tuple(targets.get("OrganizationalUnitIds") or ()),
            accounts=tuple(targets.get("Accounts") or parameters.get("Accounts") or ()),
            account_filter=str(targets.get("AccountFilterType") or "NONE"),
            regions=tuple(parameters.get("Regions") or ()),
            overrides=by_key(parameters.get("ParameterOverrides")),
        )


@dataclasses.dataclass(slots=True, kw_only=True)
class Operation:
    """One change of many stacks."""

    id: str
    action: Literal["CREATE", "UPDATE", "DELETE"]
    places: list[Place]
    retain: bool = False
    preferences: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    status: str = "QUEUED"
    created: dt.datetime = dataclasses.field(default_factory=lambda: dt.datetime.now(dt.UTC))
    ended: dt.datetime | None = None
    results: dict[Place, tuple[str, str | None]] = dataclasses.field(default_factory=dict)
    stopped: bool = False
    done: threading.Event = dataclasses.field(default_factory=threading.Event)


@dataclasses.dataclass(slots=True, kw_only=True)
class StackSet:
    """One set; `targets` are kept for automatic deployment."""

    id: str
    name: str
    account_id: str
    region: str
    template: str
    parameters: dict[str, str]
    tags: dict[str, str]
    capabilities: list[str]
    description: str | None
    permission_model: str
    administration_role: str
    execution_role: str
    auto_deployment: bool
    retain_on_removal: bool
    managed_execution: bool
    status: str = "ACTIVE"
    targets: list[Target] = dataclasses.field(default_factory=list)
    instances: dict[Place, Instance] = dataclasses.field(default_factory=dict)
    operations: list[Operation] = dataclasses.field(default_factory=list)

    @property
    def service_managed(self) -> bool:
        return self.permission_model == "SERVICE_MANAGED"


class StackSets:
    """All sets of one embedded AWS; *read* fetches a template that a URL names, for an account."""

    def __init__(self, read: Callable[[str, str], str]) -> None:
        self._read = read
        self._sets: dict[Place, dict[str, StackSet]] = collections.defaultdict(dict)
        self._lock = threading.RLock()
        self._work: queue.Queue[tuple[StackSet, Operation] | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def stop(self) -> None:
        """Let the stack that is being made be made, and end."""
        with self._lock:
            thread, self._thread = self._thread, None
            for found in self._sets.values():
                for stack_set in found.values():
                    for operation in stack_set.operations:
                        operation.stopped = True
        if thread is not None:
            self._work.put(None)
            thread.join(60)

    # What the API does. Parameters are AWS's own.

    def create(self, place: Place, parameters: Mapping[str, Any]) -> StackSet:
        """Make a set without instances."""
        account_id, region = place
        name = str(parameters["StackSetName"])
        model = str(parameters.get("PermissionModel") or "SELF_MANAGED")
        automatic = parameters.get("AutoDeployment") or {}
        with self._lock:
            if name in self._sets[place]:
                raise StackSetError(
                    "NameAlreadyExistsException", f"The name {name} is already in use by another StackSet"
                )
            if model == "SERVICE_MANAGED":
                _require_administrator(account_id, parameters.get("CallAs"))
            stack_set = StackSet(
                id=f"{name}:{uuid.uuid4()}",
                name=name,
                account_id=account_id,
                region=region,
                template=self._template(account_id, parameters),
                parameters=by_key(parameters.get("Parameters")),
                tags={tag["Key"]: tag["Value"] for tag in parameters.get("Tags") or []},
                capabilities=list(parameters.get("Capabilities") or []),
                description=parameters.get("Description"),
                permission_model=model,
                administration_role=str(
                    parameters.get("AdministrationRoleARN")
                    or f"arn:aws:iam::{account_id}:role/{ADMINISTRATION_ROLE}"
                ),
                execution_role=str(parameters.get("ExecutionRoleName") or EXECUTION_ROLE),
                auto_deployment=is_true(automatic.get("Enabled")),
                retain_on_removal=is_true(automatic.get("RetainStacksOnAccountRemoval")),
                managed_execution=is_true((parameters.get("ManagedExecution") or {}).get("Active")),
            )
            _require_deployable(stack_set)
            self._sets[place][name] = stack_set
        return stack_set

    def find(self, place: Place, name: str) -> StackSet:
        """Return a set by name or id; raise StackSetNotFoundException."""
        for stack_set in self._sets[place].values():
            if name in (stack_set.name, stack_set.id):
                return stack_set
        raise StackSetNotFoundException(name)

    def all(self, place: Place) -> list[StackSet]:
        """Return the sets of an account and Region."""
        return list(self._sets[place].values())

    def update(self, place: Place, parameters: Mapping[str, Any]) -> Operation:
        """Change the set, and all its stacks or those that are named."""
        with self._lock:
            stack_set = self.find(place, str(parameters["StackSetName"]))
            changed = self._changed(stack_set, parameters)
            _require_deployable(changed)
            places = list(stack_set.instances)
            if parameters.get("Accounts") or parameters.get("DeploymentTargets"):
                places = [
                    item
                    for item in self._places(stack_set, Target.of(parameters))
                    if item in stack_set.instances
                ]
            self._require_free(stack_set)
            for name in (
                "template", "parameters", "tags", "capabilities", "description", "auto_deployment",
                "retain_on_removal", "managed_execution", "administration_role", "execution_role",
            ):  # fmt: skip
                setattr(stack_set, name, getattr(changed, name))
            for item in stack_set.instances.values():
                item.status = "OUTDATED"
            return self._begin(stack_set, "UPDATE", places, parameters)

    def delete(self, place: Place, name: str) -> None:
        """Remove a set that has no instances; one that isn't there is gone already."""
        with self._lock:
            try:
                stack_set = self.find(place, name)
            except StackSetNotFoundException:
                return
            if stack_set.instances:
                raise StackSetNotEmpty
            self._require_free(stack_set)
            del self._sets[place][stack_set.name]

    def create_instances(self, place: Place, parameters: Mapping[str, Any]) -> Operation:
        """Make the stacks of a target that aren't there yet."""
        with self._lock:
            stack_set = self.find(place, str(parameters["StackSetName"]))
            target = Target.of(parameters)
            self._require_free(stack_set)
            _require_fitting_target(stack_set, target)
            stack_set.targets.append(target)
            return self._begin(stack_set, "CREATE", self._add(stack_set, target), parameters)

    def update_instances(self, place: Place, parameters: Mapping[str, Any]) -> Operation:
        """Give instances other values of parameters."""
        with self._lock:
            stack_set = self.find(place, str(parameters["StackSetName"]))
            target = Target.of(parameters)
            _require_known_parameters(stack_set, target.overrides)
            places = self._places(stack_set, target)
            if any(item not in stack_set.instances for item in places):
                raise StackInstanceNotFound
            self._require_free(stack_set)
            for item in places:
                stack_set.instances[item].overrides = dict(target.overrides)
                stack_set.instances[item].status = "OUTDATED"
            return self._begin(stack_set, "UPDATE", places, parameters)

    def delete_instances(self, place: Place, parameters: Mapping[str, Any]) -> Operation:
        """Remove instances, and their stacks unless they are to be retained."""
        with self._lock:
            stack_set = self.find(place, str(parameters["StackSetName"]))
            target = Target.of(parameters)
            self._require_free(stack_set)
            stack_set.targets = [_less(item, target) for item in stack_set.targets]
            places = [item for item in self._places(stack_set, target) if item in stack_set.instances]
            return self._begin(
                stack_set, "DELETE", places, parameters, retain=is_true(parameters.get("RetainStacks"))
            )

    def stop_operation(self, stack_set: StackSet, operation_id: str) -> None:
        """Let the operation end behind the stack that it is at."""
        self.operation(stack_set, operation_id).stopped = True

    def operation(self, stack_set: StackSet, operation_id: str) -> Operation:
        """Return one operation; raise OperationNotFoundException."""
        for operation in stack_set.operations:
            if operation.id == operation_id:
                return operation
        raise StackSetError("OperationNotFoundException", f"Operation {operation_id} not found")

    # What CloudFormation does with a resource of the type AWS::CloudFormation::StackSet

    def bring_about(
        self, stack_set: StackSet, groups: Sequence[Mapping[str, Any]], preferences: Mapping[str, Any]
    ) -> None:
        """Make the instances those of *groups* and no other; raise OperationFailedError."""
        wanted = [Target.of(group) for group in groups]
        taken: set[Place] = set()
        for target in wanted:
            _require_fitting_target(stack_set, target)
            covered = set(self._places(stack_set, target))
            if twice := taken & covered:
                raise ValidationError(message=f"stack instances are named twice: {sorted(twice)}")
            taken |= covered
        with self._lock:
            stack_set.targets = wanted
            gone = [item for item in stack_set.instances if item not in taken]
            changed = []
            created = []
            for target in wanted:
                for item in self._places(stack_set, target):
                    instance = stack_set.instances.get(item)
                    if instance is not None and instance.overrides != target.overrides:
                        instance.overrides = dict(target.overrides)
                        changed.append(item)
                created += self._add(stack_set, target)
        options = {"OperationPreferences": preferences}
        for action, places in (("DELETE", gone), ("UPDATE", changed), ("CREATE", created)):
            if places:
                self.wait_for(stack_set, self._begin(stack_set, action, places, options))

    def wait_for(self, stack_set: StackSet, operation: Operation) -> None:
        """Wait until it has ended; raise OperationFailedError with the first reasons."""
        operation.done.wait()
        if operation.status != "SUCCEEDED":
            reasons = [f"{place}: {reason}" for place, (_, reason) in operation.results.items() if reason]
            raise OperationFailedError(
                f"operation {operation.id} of {stack_set.name} {operation.status}: {'; '.join(reasons[:3])}"
            )

    # What Organizations tells

    def account_moved(self, account_id: str) -> None:
        """Deploy to an account that has joined a unit, and take away from one that has left it."""
        with self._lock:
            sets = [item for found in self._sets.values() for item in found.values()]
            for stack_set in sets:
                if stack_set.service_managed and stack_set.auto_deployment:
                    self._follow(stack_set, account_id)

    def _follow(self, stack_set: StackSet, account_id: str) -> None:
        created: list[Place] = []
        wanted: set[Place] = set()
        for target in stack_set.targets:
            wanted.update(self._places(stack_set, target))
            created += self._add(stack_set, target)
        gone = [place for place in stack_set.instances if place[0] == account_id and place not in wanted]
        if created:
            self._begin(stack_set, "CREATE", created, {})
        if gone:
            self._begin(stack_set, "DELETE", gone, {}, retain=stack_set.retain_on_removal)

    # Places

    def _places(self, stack_set: StackSet, target: Target) -> list[Place]:
        return [(account, region) for region in target.regions for account in _accounts(stack_set, target)]

    def _add(self, stack_set: StackSet, target: Target) -> list[Place]:
        """Remember the instances that the target adds; return where they are."""
        added = []
        for place in self._places(stack_set, target):
            if place not in stack_set.instances:
                unit = target.units[0] if target.units else None
                stack_set.instances[place] = Instance(
                    place=place, unit_id=unit, overrides=dict(target.overrides)
                )
                added.append(place)
        return added

    # Operations

    def _require_free(self, stack_set: StackSet) -> None:
        """Without managed execution a second operation at a time is refused; with it, it waits its turn."""
        for operation in stack_set.operations:
            if not operation.done.is_set() and not stack_set.managed_execution:
                raise StackSetError(
                    "OperationInProgressException",
                    f"Another Operation on StackSet {stack_set.id} is in progress: {operation.id}",
                )

    def _begin(
        self,
        stack_set: StackSet,
        action: Any,
        places: Iterable[Place],
        parameters: Mapping[str, Any],
        *,
        retain: bool = False,
    ) -> Operation:
        operation = Operation(
            id=str(parameters.get("OperationId") or uuid.uuid4()),
            action=action,
            places=list(places),
            retain=retain,
            preferences=parameters.get("OperationPreferences") or {},
        )
        with self._lock:
            stack_set.operations.append(operation)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="stack-sets")
                self._thread.start()
        self._work.put((stack_set, operation))
        return operation

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            stack_set, operation = work
            try:
                self._run(stack_set, operation)
            except Exception:
                LOGGER.exception("an operation of the StackSet %s broke", stack_set.name)
                operation.status = "FAILED"
            operation.ended = dt.datetime.now(dt.UTC)
            operation.done.set()

    def _run(self, stack_set: StackSet, operation: Operation) -> None:
        operation.status = "RUNNING"
        by_region: dict[str, list[Place]] = {}
        for place in operation.places:
            by_region.setdefault(place[1], []).append(place)
        order = list(operation.preferences.get("RegionOrder") or [])
        regions = [*order, *(region for region in by_region if region not in order)]
        intolerable = False
        for region in regions:
            places = by_region.get(region, [])
            tolerated = _tolerated(operation.preferences, len(places))
            failed = 0
            for place in places:
                if intolerable or operation.stopped:
                    why = (
                        "the operation was stopped" if operation.stopped else "failure tolerance has exceeded"
                    )
                    operation.results[place] = ("CANCELLED", f"Cancelled since {why}")
                    if place in stack_set.instances:
                        stack_set.instances[place].detailed_status = "CANCELLED"
                    continue
                failed += not self._change(stack_set, operation, place)
                intolerable = failed > tolerated
        operation.status = "STOPPED" if operation.stopped else "FAILED" if intolerable else "SUCCEEDED"

    def _change(self, stack_set: StackSet, operation: Operation, place: Place) -> bool:
        """Bring one stack about; return whether that succeeded."""
        instance = stack_set.instances.get(place)
        if instance is None:
            operation.results[place] = ("SUCCEEDED", None)
            return True
        instance.operation_id, instance.detailed_status = operation.id, "RUNNING"
        operation.results[place] = ("RUNNING", None)
        try:
            _require_roles(stack_set, place[0])
            if operation.action == "DELETE":
                _remove(instance, retain=operation.retain)
            else:
                _deploy(stack_set, instance)
        except Exception as error:  # noqa: BLE001 - the boundary of one account: whatever went wrong is its result
            reason = getattr(error, "message", None) or f"{error}"
            LOGGER.info("the StackSet %s failed in %s: %s", stack_set.name, place, reason)
            instance.status, instance.detailed_status, instance.reason = "OUTDATED", "FAILED", reason
            operation.results[place] = ("FAILED", reason)
            return False
        operation.results[place] = ("SUCCEEDED", None)
        if operation.action == "DELETE":
            del stack_set.instances[place]
        else:
            instance.status, instance.detailed_status, instance.reason = "CURRENT", "SUCCEEDED", None
        return True

    # Reading

    def _template(self, account_id: str, parameters: Mapping[str, Any]) -> str:
        body, url = parameters.get("TemplateBody"), parameters.get("TemplateURL")
        if bool(body) == bool(url):
            raise ValidationError(message="either TemplateBody or TemplateURL is needed")
        if body and len(str(body).encode()) > LARGEST_BODY:
            raise ValidationError(
                message=f"at 'templateBody' failed to satisfy constraint: at most {LARGEST_BODY} bytes"
            )
        text = str(body) if body else self._read(account_id, str(url))
        if len(text.encode()) > LARGEST_TEMPLATE:
            raise ValidationError(message=f"the template may have at most {LARGEST_TEMPLATE} bytes")
        return text

    def _changed(self, stack_set: StackSet, parameters: Mapping[str, Any]) -> StackSet:
        automatic = parameters.get("AutoDeployment")
        given = {item["ParameterKey"]: item for item in parameters.get("Parameters") or []}
        values = {
            key: stack_set.parameters[key]
            if is_true(item.get("UsePreviousValue"))
            else item["ParameterValue"]
            for key, item in given.items()
        }
        previous = is_true(parameters.get("UsePreviousTemplate"))
        tags = parameters.get("Tags")
        execution = parameters.get("ManagedExecution")
        return dataclasses.replace(
            stack_set,
            template=stack_set.template if previous else self._template(stack_set.account_id, parameters),
            parameters=values,
            tags=stack_set.tags if tags is None else {tag["Key"]: tag["Value"] for tag in tags},
            capabilities=list(parameters.get("Capabilities") or []),
            description=parameters.get("Description", stack_set.description),
            auto_deployment=(
                stack_set.auto_deployment if automatic is None else is_true(automatic.get("Enabled"))
            ),
            retain_on_removal=(
                stack_set.retain_on_removal
                if automatic is None
                else is_true(automatic.get("RetainStacksOnAccountRemoval"))
            ),
            managed_execution=(
                stack_set.managed_execution if execution is None else is_true(execution.get("Active"))
            ),
            administration_role=str(parameters.get("AdministrationRoleARN") or stack_set.administration_role),
            execution_role=str(parameters.get("ExecutionRoleName") or stack_set.execution_role),
        )


def by_key(parameters: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Turn AWS's list of parameters into a mapping."""
    return {str(item["ParameterKey"]): str(item["ParameterValue"]) for item in parameters or []}


def is_true(value: Any) -> bool:
    """Read a boolean as an API or a template gives it."""
    return value is True or str(value).lower() == "true"


def _less(target: Target, removed: Target) -> Target:
    """Return what is left of a target when units and Regions of another are taken away."""
    if set(removed.regions) >= set(target.regions):
        return dataclasses.replace(
            target,
            units=tuple(unit for unit in target.units if unit not in removed.units),
            accounts=tuple(account for account in target.accounts if account not in removed.accounts),
        )
    if set(removed.units) >= set(target.units) and set(removed.accounts) >= set(target.accounts):
        left = tuple(region for region in target.regions if region not in removed.regions)
        return dataclasses.replace(target, regions=left)
    return target


def _accounts(stack_set: StackSet, target: Target) -> list[str]:
    if not target.units:
        return list(target.accounts)
    try:
        found = organization.accounts_below(stack_set.account_id, list(target.units))
    except LookupError as error:
        raise ValidationError(message=str(error)) from error
    match target.account_filter:
        case "INTERSECTION":
            return [account for account in found if account in target.accounts]
        case "DIFFERENCE":
            return [account for account in found if account not in target.accounts]
        case "UNION":
            return [*found, *(account for account in target.accounts if account not in found)]
        case _:
            return found


def _tolerated(preferences: Mapping[str, Any], accounts: int) -> int:
    """Return how many accounts of a Region may fail; none unless the caller says otherwise."""
    if preferences.get("FailureTolerancePercentage") is not None:
        return accounts * int(preferences["FailureTolerancePercentage"]) // 100
    return int(preferences.get("FailureToleranceCount") or 0)


def _require_administrator(account_id: str, call_as: str | None) -> None:
    if not organization.trusts_stack_sets(account_id):
        raise ValidationError(
            message="You must enable organizations access to operate a service managed stack set"
        )
    delegated = call_as == "DELEGATED_ADMIN"
    if not (
        organization.administers_stack_sets(account_id)
        if delegated
        else organization.is_management(account_id)
    ):
        raise ValidationError(
            message="You must be the management account or delegated admin account of an organization"
            " before operating a SERVICE_MANAGED stack set"
        )


def _require_deployable(stack_set: StackSet) -> None:
    """Refuse what no account could ever get."""
    template = models.Stack.parse_template(stack_set.template)
    kinds = {resource["Type"] for resource in template.get("Resources", {}).values()}
    if stack_set.service_managed:
        if "Transform" in template:
            raise ValidationError(
                message="Stack sets with service-managed permissions do not support templates with macros"
            )
        if "AWS::CloudFormation::Stack" in kinds:
            raise ValidationError(
                message="Stack sets with service-managed permissions do not support nested stacks"
            )
    named = any(
        resource["Type"].startswith("AWS::IAM::") and _names_itself(resource)
        for resource in template.get("Resources", {}).values()
    )
    needed = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"
    enough = {needed, "CAPABILITY_NAMED_IAM"}
    if any(kind.startswith("AWS::IAM::") for kind in kinds) and not enough & set(stack_set.capabilities):
        raise StackSetError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")
    _require_known_parameters(stack_set, stack_set.parameters)


def _names_itself(resource: Mapping[str, Any]) -> bool:
    own = {"RoleName", "UserName", "GroupName", "ManagedPolicyName", "InstanceProfileName"}
    return bool(own & set(resource.get("Properties", {})))


def _require_known_parameters(stack_set: StackSet, parameters: Mapping[str, str]) -> None:
    known = models.Stack.parse_template(stack_set.template).get("Parameters", {})
    if unknown := set(parameters) - set(known):
        raise ValidationError(
            message=f"Parameters: [{', '.join(sorted(unknown))}] do not exist in the template"
        )


def _require_fitting_target(stack_set: StackSet, target: Target) -> None:
    _require_known_parameters(stack_set, target.overrides)
    if not target.regions:
        raise ValidationError(message="Regions are required")
    if stack_set.service_managed and not target.units:
        raise ValidationError(
            message="StackSets with SERVICE_MANAGED permission model can only have"
            " OrganizationalUnit as target"
        )
    if not stack_set.service_managed and target.units:
        raise ValidationError(
            message="StackSets with SELF_MANAGED permission model can only have accounts as target"
        )


def _require_roles(stack_set: StackSet, account_id: str) -> None:
    """
    SELF_MANAGED: CloudFormation assumes the administration role, and with it the execution role of the
    account; both have to be there, to trust, and the first has to be allowed to. Service-managed roles are
    AWS's own.
    """
    if stack_set.service_managed:
        return
    execution = f"arn:aws:iam::{account_id}:role/{stack_set.execution_role}"
    administration = stack_set.administration_role
    facts = {"RoleSessionName": "stack-set"}
    try:
        authorization.may_assume(administration, service_principal("cloudformation.amazonaws.com"), facts)
        role = authorization.session_of(administration)
        authorization.role_may(role, "sts:AssumeRole", execution)
        authorization.may_assume(execution, role, facts)
    except DeniedError as error:
        raise ValidationError(
            message=f"Account {account_id} should have '{stack_set.execution_role}' role with trust"
            f" relationship to Role '{administration.rsplit('/', 1)[-1]}'. ({error})"
        ) from error


def _deploy(stack_set: StackSet, instance: Instance) -> None:
    account_id, region = instance.place
    backend: Any = models.cloudformation_backends[account_id][region]
    stack = backend.stacks.get(instance.stack_id)
    if stack is not None and stack.status in FALLEN:
        backend.delete_stack(stack.stack_id)
        stack = None
    parameters = {**stack_set.parameters, **instance.overrides}
    if stack is None:
        instance.stack_id = None
        known = set(backend.stacks)
        try:
            stack = backend.create_stack(
                name=f"StackSet-{stack_set.name}-{uuid.uuid4()}",
                template=stack_set.template,
                parameters=parameters,
                tags=stack_set.tags,
            )
        finally:
            instance.stack_id = next((item for item in backend.stacks if item not in known), None)
    else:
        try:
            stack.update(stack_set.template, parameters=parameters)
        except ValidationError as error:
            if "No updates are to be performed" not in str(error):
                raise
    if stack.status not in STANDING:
        raise ValidationError(message=_why(stack))


def _why(stack: Any) -> str:
    for event in reversed(stack.events):
        if event.resource_status.endswith("_FAILED") and event.resource_status_reason:
            return (
                f"ResourceLogicalId:{event.logical_resource_id}, ResourceType:{event.resource_type},"
                f" ResourceStatusReason:{event.resource_status_reason}."
            )
    return f"the stack is {stack.status}"


def _remove(instance: Instance, *, retain: bool) -> None:
    account_id, region = instance.place
    if not retain and instance.stack_id is not None:
        models.cloudformation_backends[account_id][region].delete_stack(instance.stack_id)


def described(stack_set: StackSet) -> dict[str, Any]:
    """Return a set as DescribeStackSet does."""
    units = sorted({unit for target in stack_set.targets for unit in target.units})
    return {
        "StackSetName": stack_set.name,
        "StackSetId": stack_set.id,
        "StackSetARN": (
            f"arn:aws:cloudformation:{stack_set.region}:{stack_set.account_id}:stackset/{stack_set.id}"
        ),
        "Description": stack_set.description,
        "Status": stack_set.status,
        "TemplateBody": stack_set.template,
        "Parameters": stack_set.parameters,
        "Capabilities": stack_set.capabilities,
        "Tags": stack_set.tags,
        "PermissionModel": stack_set.permission_model,
        "AutoDeployment": (
            {
                "Enabled": stack_set.auto_deployment,
                "RetainStacksOnAccountRemoval": stack_set.retain_on_removal,
            }
            if stack_set.service_managed
            else None
        ),
        "ManagedExecution": {"Active": stack_set.managed_execution},
        "OrganizationalUnitIds": units,
        "AdministrationRoleARN": None if stack_set.service_managed else stack_set.administration_role,
        "ExecutionRoleName": None if stack_set.service_managed else stack_set.execution_role,
        "Regions": sorted({region for _, region in stack_set.instances}),
    }


def instance_described(stack_set: StackSet, instance: Instance) -> dict[str, Any]:
    """Return an instance as DescribeStackInstance and ListStackInstances do."""
    account_id, region = instance.place
    return {
        "StackSetId": stack_set.id,
        "Region": region,
        "Account": account_id,
        "StackId": instance.stack_id,
        "ParameterOverrides": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in instance.overrides.items()
        ],
        "Status": instance.status,
        "StatusReason": instance.reason,
        "StackInstanceStatus": {"DetailedStatus": instance.detailed_status},
        "OrganizationalUnitId": instance.unit_id,
        "LastOperationId": instance.operation_id,
    }


def operation_described(stack_set: StackSet, operation: Operation) -> dict[str, Any]:
    """Return an operation as DescribeStackSetOperation does."""
    failed = sum(status == "FAILED" for status, _ in operation.results.values())
    return {
        "OperationId": operation.id,
        "StackSetId": stack_set.id,
        "Action": operation.action,
        "Status": operation.status,
        "OperationPreferences": dict(operation.preferences),
        "RetainStacks": operation.retain,
        "AdministrationRoleARN": None if stack_set.service_managed else stack_set.administration_role,
        "ExecutionRoleName": None if stack_set.service_managed else stack_set.execution_role,
        "CreationTimestamp": operation.created,
        "EndTimestamp": operation.ended,
        "StatusDetails": {"FailedStackInstancesCount": failed},
    }


def results_described(operation: Operation) -> list[dict[str, Any]]:
    """Return what came of an operation in each place."""
    return [
        {"Account": account, "Region": region, "Status": status, "StatusReason": reason}
        for (account, region), (status, reason) in operation.results.items()
    ]


def parsed_body(template: Any) -> str:
    """Return a template that stands in another one as text."""
    return template if isinstance(template, str) else json.dumps(template)
