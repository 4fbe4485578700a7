"""
Parameter Store tells EventBridge, keeps to its size, and has what AWS publishes.

moto: no "Parameter Store Change" event; a value of any size; not Powertools' public parameters.
AWS: an event for every put and delete; at most 4 KB in the Standard tier.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.ssm.exceptions import ValidationException
from moto.ssm.models import Parameter, SimpleSystemManagerBackend

from sandbox.aws.moto_pin import Corrections
from sandbox.aws.public_parameters import public_parameter

LARGEST_STANDARD_VALUE = 4096
Emit = Callable[..., None]


def apply(corrections: Corrections, emit: Emit) -> None:
    """Correct Parameter Store; *emit* puts an event on an account's default bus."""

    def put_parameter(  # the parameters are moto's
        self: Any,
        name: str,
        description: str,
        value: str,
        parameter_type: str,
        allowed_pattern: str,
        keyid: str,
        overwrite: bool,
        tags: list[dict[str, str]],
        data_type: str,
        tier: str | None,
        policies: str | None,
    ) -> Any:
        if tier in (None, "Standard") and value and len(value.encode()) > LARGEST_STANDARD_VALUE:
            raise ValidationException(
                "Standard tier parameters support a maximum parameter value of 4096 characters. To create a"
                " larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more"
                " information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
                "parameter-store-advanced-parameters.html"
            )
        parameter = put(
            self,
            name,
            description,
            value,
            parameter_type,
            allowed_pattern,
            keyid,
            overwrite,
            tags,
            data_type,
            tier,
            policies,
        )
        changed(self, parameter, "Create" if parameter.version == 1 else "Update")
        return parameter

    def get_parameter(self: Any, name: str) -> Any:
        found = get(self, name)
        value = public_parameter(name, self.region_name)
        if found is not None or value is None:
            return found
        # CloudFormation doesn't make this one, so what moto asks of its resources isn't needed.
        return Parameter(  # type: ignore[abstract]
            account_id=self.account_id,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=datetime.now(UTC),
            version=1,
            data_type="text",
        )

    def delete_parameter(self: Any, name: str) -> None:
        parameter = self.get_parameter(name)
        delete(self, name)
        changed(self, parameter, "Delete")

    def delete_parameters(self: Any, names: list[str]) -> list[str]:
        found = {name: self.get_parameter(name) for name in names}
        deleted: list[str] = delete_many(self, names)
        for name in deleted:
            changed(self, found[name], "Delete")
        return deleted

    def changed(backend: Any, parameter: Any, operation: str) -> None:
        emit(
            account_id=backend.account_id,
            region=backend.region_name,
            source="aws.ssm",
            detail_type="Parameter Store Change",
            detail={"operation": operation, "name": parameter.name, "type": parameter.parameter_type},
            resources=[
                f"arn:aws:ssm:{backend.region_name}:{backend.account_id}:parameter/{parameter.name.lstrip('/')}"
            ],
        )

    get = corrections.replace(
        SimpleSystemManagerBackend, "get_parameter", get_parameter, parameters=["self", "name"]
    )
    put = corrections.replace(
        SimpleSystemManagerBackend,
        "put_parameter",
        put_parameter,
        parameters=[
            "self",
            "name",
            "description",
            "value",
            "parameter_type",
            "allowed_pattern",
            "keyid",
            "overwrite",
            "tags",
            "data_type",
            "tier",
            "policies",
        ],
    )
    delete = corrections.replace(
        SimpleSystemManagerBackend, "delete_parameter", delete_parameter, parameters=["self", "name"]
    )
    delete_many = corrections.replace(
        SimpleSystemManagerBackend, "delete_parameters", delete_parameters, parameters=["self", "names"]
    )
