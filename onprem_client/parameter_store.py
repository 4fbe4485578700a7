"""
Parameter Store, the only AWS service that the client talks to.

botocore is imported when the first call is made: `undo` and `status` must work when AWS is out of reach, and
a `run` every ten minutes should load no more than one client needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from contract.names import Region
from onprem_client.configuration import Aws
from onprem_client.errors import CloudError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True, slots=True)
class Parameter:
    """The value of a parameter and its version number."""

    value: str
    version: int


class ParameterStore(Protocol):
    """Parameters of one region; raises CloudError."""

    def get(self, name: str) -> Parameter | None: ...

    def put(self, name: str, value: str) -> None: ...


ParameterStores = Callable[[Region], ParameterStore]


class SsmParameters:
    """Parameter Store of one region."""

    def __init__(self, region: Region, *, aws: Aws) -> None:
        self._region = region
        self._aws = aws
        self._made: SSMClient | None = None

    def get(self, name: str) -> Parameter | None:
        """Return a parameter, or None when there is none."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client().get_parameter(Name=name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                return None
            self._refuse("read", name, error)
        except BotoCoreError as error:
            self._refuse("read", name, error)
        return Parameter(answer["Parameter"]["Value"], answer["Parameter"]["Version"])

    def put(self, name: str, value: str) -> None:
        """Write a parameter, whether it exists or not."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client().put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
        except (ClientError, BotoCoreError) as error:
            self._refuse("write", name, error)

    def _client(self) -> "SSMClient":
        if self._made is None:
            from botocore.config import Config
            from botocore.session import Session

            profile = self._aws.profile
            if self._aws.credentials_file is not None and profile is None:
                # Named outright, the profile comes before credentials that happen to be in the environment.
                profile = "default"
            session = Session(profile=profile)
            if self._aws.credentials_file is not None:
                session.set_config_variable("credentials_file", str(self._aws.credentials_file))
            try:
                client = session.create_client(
                    "ssm",
                    region_name=self._region,
                    endpoint_url=self._aws.endpoint_url,
                    verify=None if self._aws.ca_bundle is None else str(self._aws.ca_bundle),
                    config=Config(
                        connect_timeout=5,
                        read_timeout=15,
                        retries={"mode": "standard", "total_max_attempts": 4},
                    ),
                )
            except ValueError as error:
                raise CloudError(f"aws.endpoint_url is not usable: {error}") from error
            self._made = cast("SSMClient", client)
        return self._made

    def _refuse(self, verb: str, name: str, error: Exception) -> NoReturn:
        # Only the first line: AWS explains a wrong signature with the request's own headers and token.
        reason = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
        raise CloudError(
            f"AWS Systems Manager in {self._region} would not {verb} {name}: {reason}"
        ) from error
