"""
StackSets deploy.

moto: SERVICE_MANAGED makes stacks that no account has; the names of SELF_MANAGED ones hold a colon, which
breaks names that are derived from them; every operation succeeds at once; a changed template or parameter
changes no stack; StackSets can't be made by a template.
AWS: see `stack_sets.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import StackInstanceNotFound
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult, EmptyResult

from sandbox.aws import stack_sets
from sandbox.aws.cloudformation_types import Resource
from sandbox.aws.moto_pin import Corrections, MotoChangedError
from sandbox.aws.stack_sets import Place, StackSets


class StackSetResource(Resource, CloudFormationModel):
    """`Ref` is the set's id, which is not its name."""

    TYPE = "AWS::CloudFormation::StackSet"
    NAME = "StackSetName"
    ATTRIBUTES = ("StackSetId",)
    SETS: ClassVar[StackSets | None] = None

    def put(self) -> None:
        """Make the set and its instances, or bring them up to date; wait, as CloudFormation does."""
        sets, place = self._sets(), (self.account_id, self.region)
        given = {**self.properties, "StackSetName": self.name}
        if "TemplateBody" in given:
            given["TemplateBody"] = stack_sets.parsed_body(given["TemplateBody"])
        known = {item.name for item in sets.all(place)}
        preferences = given.get("OperationPreferences") or {}
        groups = given.get("StackInstancesGroup") or []
        if self.name in known:
            stack_set = sets.find(place, self.name)
            sets.wait_for(stack_set, sets.update(place, given))
        else:
            stack_set = sets.create(place, given)
        self._id = stack_set.id
        sets.bring_about(stack_set, groups, preferences)

    def replaced_by(self, new: Any) -> None:
        """A set with another name, or another model of permissions, is another set."""
        if (new.name, self._model(new)) != (self.name, self._model(self)):
            self.remove()

    def remove(self) -> None:
        sets, place = self._sets(), (self.account_id, self.region)
        if self.name not in {item.name for item in sets.all(place)}:
            return
        stack_set = sets.find(place, self.name)
        sets.bring_about(stack_set, [], self.properties.get("OperationPreferences") or {})
        sets.delete(place, self.name)

    @property
    def physical_resource_id(self) -> str:
        return self._id

    def get_cfn_attribute(self, _attribute_name: str) -> str:
        return self._id

    @staticmethod
    def _model(resource: Any) -> Any:
        return resource.properties.get("PermissionModel")

    @classmethod
    def _sets(cls) -> StackSets:
        if cls.SETS is None:
            raise RuntimeError("no embedded AWS runs")
        return cls.SETS


def apply(corrections: Corrections, sets: StackSets) -> None:
    """Let *sets* do what StackSets do."""
    StackSetResource.SETS = sets
    corrections.on_restore(lambda: setattr(StackSetResource, "SETS", None))
    if parsing.get_model_map().get(StackSetResource.TYPE) is not StackSetResource:
        raise MotoChangedError(f"moto has {StackSetResource.TYPE} by itself now")
    for name, answer in _answers(sets).items():
        corrections.replace(CloudFormationResponse, name, _action(answer), parameters=["self"])


def _action(answer: Callable[[Place, Mapping[str, Any]], Any]) -> Callable[[Any], Any]:
    def action(self: Any) -> Any:
        result = answer((self.current_account, self.region), self._get_params())
        return EmptyResult() if result is None else ActionResult(result)

    return action


def _answers(sets: StackSets) -> dict[str, Callable[[Place, Mapping[str, Any]], Any]]:
    """Return the operations by the names of moto's methods."""

    def found(place: Place, given: Mapping[str, Any]) -> Any:
        return sets.find(place, str(given["StackSetName"]))

    def describe_instance(place: Place, given: Mapping[str, Any]) -> Any:
        stack_set = found(place, given)
        key = (str(given["StackInstanceAccount"]), str(given["StackInstanceRegion"]))
        if key not in stack_set.instances:
            raise StackInstanceNotFound
        return {"StackInstance": stack_sets.instance_described(stack_set, stack_set.instances[key])}

    def list_instances(place: Place, given: Mapping[str, Any]) -> Any:
        stack_set = found(place, given)
        account, region = given.get("StackInstanceAccount"), given.get("StackInstanceRegion")
        return {
            "Summaries": [
                stack_sets.instance_described(stack_set, item)
                for item in list(stack_set.instances.values())
                if account in (None, item.place[0]) and region in (None, item.place[1])
            ]
        }

    def operation(place: Place, given: Mapping[str, Any]) -> Any:
        stack_set = found(place, given)
        return stack_set, sets.operation(stack_set, str(given["OperationId"]))

    def stop(place: Place, given: Mapping[str, Any]) -> None:
        sets.stop_operation(found(place, given), str(given["OperationId"]))

    return {
        "create_stack_set": lambda place, given: {"StackSetId": sets.create(place, given).id},
        "update_stack_set": lambda place, given: {"OperationId": sets.update(place, given).id},
        "delete_stack_set": lambda place, given: sets.delete(place, str(given["StackSetName"])),
        "describe_stack_set": lambda place, given: {"StackSet": stack_sets.described(found(place, given))},
        "list_stack_sets": lambda place, _given: {
            "Summaries": [stack_sets.described(item) for item in sets.all(place)]
        },
        "create_stack_instances": lambda place, given: {
            "OperationId": sets.create_instances(place, given).id
        },
        "update_stack_instances": lambda place, given: {
            "OperationId": sets.update_instances(place, given).id
        },
        "delete_stack_instances": lambda place, given: {
            "OperationId": sets.delete_instances(place, given).id
        },
        "describe_stack_instance": describe_instance,
        "list_stack_instances": list_instances,
        "list_stack_set_operations": lambda place, given: {
            "Summaries": [
                stack_sets.operation_described(found(place, given), item)
                for item in reversed(found(place, given).operations)
            ]
        },
        "describe_stack_set_operation": lambda place, given: {
            "StackSetOperation": stack_sets.operation_described(*operation(place, given))
        },
        "list_stack_set_operation_results": lambda place, given: {
            "Summaries": stack_sets.results_described(operation(place, given)[1])
        },
        "stop_stack_set_operation": stop,
    }
