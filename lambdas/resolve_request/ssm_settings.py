"""Settings of sites in Parameter Store."""

from typing import TYPE_CHECKING

from contract.names import SiteName
from contract.parameters import settings_parameter
from lambdas.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class SsmSettings:
    """The settings parameters that the stack writes."""

    def __init__(self, client: "SSMClient") -> None:
        self._client = client

    def read(self, site: SiteName) -> str:
        """Return the parameter's value, unchecked."""
        name = settings_parameter(site)
        try:
            answer = self._client.get_parameter(Name=name)
        except self._client.exceptions.ParameterNotFound as error:
            raise InvalidRequestError(
                f"site: the parameter {name} is missing; deploy the stack again"
            ) from error
        return answer["Parameter"].get("Value", "")
