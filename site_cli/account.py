"""
The account and Region that the command works in, and what boto3 and AWS say, in sentences with a remedy.

Nothing but this module knows how boto3 fails.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from contract import names
from contract.errors import ContractError
from site_cli.errors import AccessDeniedError, AwsConfigurationError, CloudError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

_CONFIG = Config(
    connect_timeout=10,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},
    user_agent_extra="vbr-privatelink-site",
)
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "NotAuthorized",
    "UnauthorizedAccess",
    "UnauthorizedOperation",
}
_BAD_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NO_CREDENTIALS = (
    "no AWS credentials were found: sign in (`aws sso login`, then name the profile with --profile), or set "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


@dataclass(frozen=True)
class Account:
    """One account and Region, as the credentials say; the clients are made when they are first asked for."""

    session: boto3.Session
    account_id: str
    partition: str
    region: names.Region

    @property
    def state_machine_arn(self) -> str:
        """The workflow has the same name in every account and Region."""
        return (
            f"arn:{self.partition}:states:{self.region}:{self.account_id}"
            ":stateMachine:vbr-privatelink-reconcile"
        )

    def console_url(self, execution: str) -> str:
        """Where the console shows an execution."""
        host = {
            "aws": f"{self.region}.console.aws.amazon.com",
            "aws-cn": "console.amazonaws.cn",
            "aws-us-gov": "console.amazonaws-us-gov.com",
            "aws-eusc": f"{self.region}.console.amazonaws-eusc.eu",
        }[self.partition]
        return f"https://{host}/states/home?region={self.region}#/v2/executions/details/{execution}"

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """The table of the sites is there."""
        return self.session.client("dynamodb", config=_CONFIG)

    @cached_property
    def ec2(self) -> "EC2Client":
        """The network, only ever looked at."""
        return self.session.client("ec2", config=_CONFIG)

    @cached_property
    def functions(self) -> "LambdaClient":
        """The workflow's functions."""
        return self.session.client("lambda", config=_CONFIG)

    @cached_property
    def quotas(self) -> "ServiceQuotasClient":
        """How many endpoints a VPC may have."""
        return self.session.client("service-quotas", config=_CONFIG)

    @cached_property
    def ssm(self) -> "SSMClient":
        """Parameter Store."""
        return self.session.client("ssm", config=_CONFIG)

    @cached_property
    def states(self) -> "SFNClient":
        """The workflow and its executions."""
        return self.session.client("stepfunctions", config=_CONFIG)


def sign_in(*, profile: str | None, region: str | None) -> Account:
    """Find out who is asking, and where; raises AwsConfigurationError or CloudError."""
    with aws_errors():
        session = boto3.Session(profile_name=profile, region_name=region)
        if session.region_name is None:
            raise AwsConfigurationError(
                "no Region is set: name it with --region, such as --region ap-northeast-1, or in AWS_REGION"
            )
        try:
            checked = names.region(session.region_name)
        except ContractError as error:
            raise AwsConfigurationError(str(error)) from error
        identity = session.client("sts", config=_CONFIG).get_caller_identity()
    return Account(
        session=session,
        account_id=identity["Account"],
        partition=identity["Arn"].split(":")[1],
        region=checked,
    )


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn what boto3 raises into errors with a remedy."""
    try:
        yield
    except ProfileNotFound as error:
        raise AwsConfigurationError(f"{error}: `aws configure list-profiles` lists them") from error
    except NoRegionError as error:
        raise AwsConfigurationError("no Region is set: name it with --region") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise AwsConfigurationError(_NO_CREDENTIALS) from error
    except ClientError as error:
        raise _refusal(error) from error
    except (EndpointConnectionError, ConnectionClosedError, NoConnectionError, HTTPClientError) as error:
        raise CloudError(
            f"AWS could not be reached ({error}): check the network, the proxy (HTTPS_PROXY), and whether "
            "the Region is spelt right"
        ) from error
    except BotoCoreError as error:
        # Single sign-on and credential processes raise many kinds; each says what it is about.
        raise AwsConfigurationError(
            f"the AWS SDK gave up: {error}; sign in again, or name another --profile"
        ) from error


def _refusal(error: ClientError) -> AwsConfigurationError | CloudError:
    code = error.response["Error"]["Code"]
    message = error.response["Error"].get("Message", "").strip()
    said = f"{error.operation_name}: {code}: {message}"
    if code in _BAD_CREDENTIALS:
        return AwsConfigurationError(f"AWS doesn't take these credentials ({said}): sign in again")
    if code in _DENIED:
        return AccessDeniedError(
            f"these credentials may not do that ({said}): use a role that may; docs/operations.md lists what "
            "`vbr-privatelink-site` needs"
        )
    return CloudError(f"AWS refused the call: {said}")
