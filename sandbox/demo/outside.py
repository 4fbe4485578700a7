"""
Requests as others would send them: from the internet, over plain HTTP, with an outdated TLS.

Each goes to the true host name through the embedded AWS's proxy, so that it sees what AWS would see.
"""

import http.client
import ssl
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.aws import Credentials, EmbeddedAws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How S3 answered: the HTTP status and its own words."""

    status: int
    words: str

    @property
    def denied_by_bucket_policy(self) -> bool:
        """Whether it was the bucket policy that refused, and nothing else."""
        return (
            self.status == http.client.FORBIDDEN and "explicit deny in a resource-based policy" in self.words
        )


class Outside:
    """Whoever is not the product."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws

    def s3(self, keys: Credentials | None = None, *, host: str | None = None) -> "S3Client":
        """S3 by its public name, or by the endpoint's; the administrator's keys unless others are given."""
        name = host or f"s3.{self._aws.options.region}.amazonaws.com"
        client: S3Client = self._aws.client(
            "s3",
            keys,
            endpoint_url=f"https://{name}",
            config=Config(
                proxies={"https": self._aws.proxy_url},
                s3={"addressing_style": "path"},
                signature_version="s3v4",
                retries={"total_max_attempts": 1},
            ),
        )
        return client

    def put(
        self, bucket: str, key: str, *, keys: Credentials | None = None, host: str | None = None
    ) -> Answer:
        """Upload an object as a person in the console would."""
        try:
            self.s3(keys, host=host).put_object(Bucket=bucket, Key=key, Body=b"upload")
        except ClientError as error:
            return _answer(error)
        return Answer(status=200, words="written")

    def listing(self, bucket: str) -> Answer:
        """List the bucket as a person in the console would."""
        try:
            self.s3().list_objects_v2(Bucket=bucket)
        except ClientError as error:
            return _answer(error)
        return Answer(status=200, words="listed")

    def replace_policy(self, bucket: str) -> Answer:
        """Put the very policy that is there again, as somebody who means to change it would."""
        try:
            policy = self.s3().get_bucket_policy(Bucket=bucket)["Policy"]
            self.s3().put_bucket_policy(Bucket=bucket, Policy=policy)
        except ClientError as error:
            return _answer(error)
        return Answer(status=200, words="replaced")

    def put_unencrypted(self, bucket: str, key: str, *, keys: Credentials, host: str) -> Answer:
        """Upload through the endpoint over plain HTTP."""
        url = self._presigned(bucket, key, keys=keys, host=host).replace("https://", "http://", 1)
        proxy = urlsplit(self._aws.proxy_url)
        connection = http.client.HTTPConnection(str(proxy.hostname), proxy.port, timeout=30)
        try:
            connection.request("PUT", url, body=b"upload", headers={"Host": host})
            return _read(connection)
        finally:
            connection.close()

    def put_with_tls_1_1(self, bucket: str, key: str, *, keys: Credentials, host: str) -> Answer:
        """Upload through the endpoint with TLS 1.1."""
        url = urlsplit(self._presigned(bucket, key, keys=keys, host=host))
        context = ssl.create_default_context(cafile=str(self._aws.ca_file))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            # Being outdated is what this connection is for.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        proxy = urlsplit(self._aws.proxy_url)
        connection = http.client.HTTPSConnection(str(proxy.hostname), proxy.port, context=context, timeout=30)
        connection.set_tunnel(host, 443)
        try:
            connection.request("PUT", f"{url.path}?{url.query}", body=b"upload")
            return _read(connection)
        finally:
            connection.close()

    def _presigned(self, bucket: str, key: str, *, keys: Credentials, host: str) -> str:
        return self.s3(keys, host=host).generate_presigned_url(
            "put_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=60
        )


def _answer(error: ClientError) -> Answer:
    return Answer(
        status=error.response["ResponseMetadata"]["HTTPStatusCode"],
        words=f"{error.response['Error']['Code']}: {error.response['Error'].get('Message', '')}",
    )


def _read(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    return Answer(status=response.status, words=response.read().decode("utf-8", "replace"))
