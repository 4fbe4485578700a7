"""Parameter Store: the fake and the real client keep the same promises; errors are one clear sentence."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws

from contract import names
from onprem_client.configuration import Aws
from onprem_client.errors import CloudError
from onprem_client.parameter_store import Parameter, ParameterStore, SsmParameters
from tests.client.region_files import REGION
from tests.client.server import FakeParameters

NAME = "/vbr-privatelink/tokyo/endpoint"
TOKYO = names.Region(REGION)


def _aws(folder: Path, *, profile: str | None = None, endpoint_url: str | None = None) -> Aws:
    credentials = folder / "credentials"
    credentials.write_text(
        "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = hush-hush\n"
        "[backup]\naws_access_key_id = AKIDBACKUP\naws_secret_access_key = hush-hush\n"
    )
    return Aws(profile=profile, credentials_file=credentials, endpoint_url=endpoint_url, ca_bundle=None)


@pytest.fixture(name="_no_ambient_credentials", autouse=True)
def _no_ambient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(name="parameters", params=["fake", "ssm"])
def _parameters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ParameterStore]:
    if request.param == "fake":
        fake = FakeParameters()
        fake.publish("{}")
        yield fake
        return
    with mock_aws():
        boto3.client("ssm", region_name=REGION).put_parameter(Name=NAME, Value="{}", Type="String")
        yield SsmParameters(TOKYO, aws=_aws(tmp_path))


def test_a_parameter_is_read_with_its_version_and_an_absent_one_is_none(parameters: ParameterStore) -> None:
    """Not yet published is a normal state, not an error."""
    for _twice in range(2):
        assert parameters.get(NAME) == Parameter("{}", 1)
        assert parameters.get("/vbr-privatelink/osaka/endpoint") is None


def test_a_report_replaces_the_one_before(tmp_path: Path) -> None:
    """There is one report for each server."""
    with mock_aws():
        parameters = SsmParameters(TOKYO, aws=_aws(tmp_path))
        parameters.put(NAME, "one")
        parameters.put(NAME, "two")

        assert parameters.get(NAME) == Parameter("two", 2)


def test_an_endpoint_that_does_not_answer_is_one_clear_sentence(tmp_path: Path) -> None:
    """And it holds no secret."""
    aws = _aws(tmp_path, endpoint_url="http://127.0.0.1:9")
    parameters = SsmParameters(TOKYO, aws=aws)

    with pytest.raises(
        CloudError, match="would not read /vbr-privatelink/tokyo/endpoint: Could not connect"
    ) as error:
        parameters.get(NAME)

    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_profile_that_does_not_exist_is_said(tmp_path: Path) -> None:
    """A typing error in client.toml."""
    parameters = SsmParameters(TOKYO, aws=_aws(tmp_path, profile="nobody"))

    with pytest.raises(CloudError, match="nobody"):
        parameters.get(NAME)


def test_no_credentials_are_said() -> None:
    """The task runs as another user than the person who tried it."""
    aws = Aws(profile=None, credentials_file=None, endpoint_url="http://127.0.0.1:9", ca_bundle=None)

    with pytest.raises(CloudError, match=r"[Cc]redentials"):
        SsmParameters(TOKYO, aws=aws).put(NAME, "x")


@pytest.mark.parametrize(("profile", "key"), [(None, "AKIDEXAMPLE"), ("backup", "AKIDBACKUP")])
def test_credentials_come_from_the_file_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str | None, key: str
) -> None:
    """Not from an environment that a person or another task has left behind."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDSTRAY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stray")
    monkeypatch.setenv("AWS_PROFILE", "stray")
    parameters = SsmParameters(TOKYO, aws=_aws(tmp_path, profile=profile))
    keys: list[str] = []
    client = parameters._client()

    def answer(request: AWSPreparedRequest, **_event: object) -> AWSResponse:
        keys.append(str(request.headers["Authorization"]))
        return AWSResponse("https://ssm.example", 200, HTTPHeaders(), _Raw(b"{}"))

    client.meta.events.register("before-send.ssm.*", cast("Any", answer))
    parameters.put(NAME, "x")

    assert f"Credential={key}/" in keys[0]


class _Raw(BytesIO):
    def stream(self, **_options: object) -> Iterator[bytes]:
        yield self.read()
