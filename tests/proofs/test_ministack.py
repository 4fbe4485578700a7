"""The second emulator is a judge only if it really refuses."""

from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tests import ministack


def test_it_refuses_whoever_has_no_permission(tmp_path: Path) -> None:
    """With AUTH off it would let everybody in, and every test on it would be green."""
    region = "ap-northeast-1"
    with ministack.running(tmp_path) as url:
        root = boto3.client(
            "iam",
            endpoint_url=url,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        root.create_user(UserName="nobody")
        key = root.create_access_key(UserName="nobody")["AccessKey"]
        nobody = boto3.client(
            "s3",
            endpoint_url=url,
            region_name=region,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        with pytest.raises(ClientError) as refused:
            nobody.list_buckets()

    assert refused.value.response["Error"]["Code"] == "AccessDenied"
