"""The port: TLS of any age, plain http, tunnels and absolute URIs; and the log of what came through it."""

import http.client
import json
import socket
import ssl
import warnings
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from sandbox.aws import Credentials, EmbeddedAws

PUBLIC_S3 = "https://s3.ap-northeast-1.amazonaws.com"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "DenyInsecureTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "DenyOutdatedTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
            "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        },
        {
            "Sid": "AllowReading",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::tls-only/*",
        },
    ],
}


@pytest.fixture(name="bucket", scope="module")
def _bucket(aws: EmbeddedAws) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="tls-only", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    s3.put_object(Bucket="tls-only", Key="key", Body=b"content")
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps(POLICY))
    return "tls-only"


def port_of(aws: EmbeddedAws) -> int:
    """Return the port of the embedded AWS."""
    port = urlsplit(aws.endpoint_url).port
    assert port
    return port


def get(aws: EmbeddedAws, context: ssl.SSLContext) -> tuple[int, str, str | None]:
    """
    Read the object without signing, over TLS as *context* speaks it; return status, body and TLS version.
    """
    plain = socket.create_connection(("127.0.0.1", port_of(aws)))
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        version = connection.version()
        connection.sendall(b"GET /tls-only/key HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read().decode(), version


def test_plain_http_arrives_and_is_refused_by_the_policy(aws: EmbeddedAws, bucket: str) -> None:
    """What refuses insecure transport must be the policy, not the port."""
    plain = aws.session().client("s3", endpoint_url=aws.proxy_url)

    with pytest.raises(botocore.exceptions.ClientError, match="explicit deny in a resource-based policy"):
        plain.get_object(Bucket=bucket, Key="key")
    assert aws.requests()[-1]["tls"] is None


def test_outdated_tls_arrives_and_is_refused_by_the_policy(aws: EmbeddedAws, bucket: str) -> None:
    """A TLS 1.1 client gets through the handshake and then an answer of S3."""
    context = ssl.create_default_context(cafile=str(aws.ca_file))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # outdated on purpose
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    status, body, version = get(aws, context)

    assert version == "TLSv1.1"
    assert status == 403
    assert "AccessDenied" in body
    assert aws.requests()[-1]["tls"] == "TLSv1.1"
    assert bucket in aws.requests()[-1]["parameters"]["Bucket"]


def test_current_tls_is_let_through(aws: EmbeddedAws, bucket: str) -> None:
    """The same request, unsigned, with a current client."""
    status, body, version = get(aws, ssl.create_default_context(cafile=str(aws.ca_file)))

    assert (status, body, version) == (200, "content", "TLSv1.3")
    assert aws.requests()[-1]["principal"] == "anonymous"
    assert bucket


def test_a_tunnel_ends_here_with_a_certificate_for_the_true_host(aws: EmbeddedAws, bucket: str) -> None:
    """Clients keep AWS's own host name as endpoint and use the port as their proxy."""
    through = aws.client("s3", endpoint_url=PUBLIC_S3, config=Config(s3={"addressing_style": "virtual"}))
    content = through.get_object(Bucket=bucket, Key="key")["Body"].read()
    line = aws.requests()[-1]

    assert content == b"content"
    assert line["host"] == "tls-only.s3.ap-northeast-1.amazonaws.com"
    assert line["parameters"]["Bucket"] == bucket


def test_an_absolute_uri_names_its_host(aws: EmbeddedAws, bucket: str) -> None:
    """A plain http proxy request, as a client without TLS makes it."""
    plain = boto3.client(
        "s3",
        region_name="ap-northeast-1",
        aws_access_key_id=aws.administrator.access_key_id,
        aws_secret_access_key=aws.administrator.secret_access_key,
        endpoint_url="http://s3.ap-northeast-1.amazonaws.com",
        config=Config(proxies={"http": aws.proxy_url}),
    )
    with pytest.raises(botocore.exceptions.ClientError, match="explicit deny in a resource-based policy"):
        plain.get_object(Bucket=bucket, Key="key")

    assert aws.requests()[-1]["host"] == "s3.ap-northeast-1.amazonaws.com"


@pytest.mark.parametrize(
    "host", ["example.com", "vpce-0123456789abcdef0-abcdefgh.s3.ap-northeast-1.vpce.amazonaws.com"]
)
def test_other_hosts_are_not_reached(aws: EmbeddedAws, host: str) -> None:
    """The port is no way out, and an endpoint's name without `bucket.` leads nowhere."""
    before = len(aws.requests())
    through = aws.client(
        "s3", endpoint_url=f"https://{host}", config=Config(retries={"total_max_attempts": 1})
    )

    with pytest.raises(botocore.exceptions.ClientError, match="502"):
        through.list_buckets()
    assert len(aws.requests()) == before


def test_one_connection_carries_many_requests(aws: EmbeddedAws) -> None:
    """Keep-alive: a client that must connect anew each time is slow, and so are all tests."""
    context = ssl.create_default_context(cafile=str(aws.ca_file))
    connection = http.client.HTTPSConnection("127.0.0.1", port_of(aws), context=context)
    connection.request("GET", "/")
    connection.getresponse().read()
    kept = connection.sock
    connection.request("GET", "/")
    connection.getresponse().read()

    assert connection.sock is kept
    connection.close()


def test_each_call_is_one_line_with_who_what_and_outcome(aws: EmbeddedAws) -> None:
    """Stories count reads and writes from these lines."""
    ssm = aws.client("ssm")
    ssm.put_parameter(Name="/log/line", Value="v", Type="String")
    ssm.get_parameter(Name="/log/line")
    with pytest.raises(botocore.exceptions.ClientError):
        ssm.get_parameter(Name="/log/none")
    put, get_, missing = aws.requests()[-3:]

    assert (put["service"], put["action"], put["readonly"], put["status"]) == (
        "ssm",
        "PutParameter",
        False,
        200,
    )
    assert put["parameters"]["Name"] == "/log/line"
    assert put["principal"] == "arn:aws:iam::111122223333:user/administrator"
    assert put["source"] == "client"
    assert get_["readonly"] is True
    assert missing["error_code"] == "ParameterNotFound"


def test_secrets_and_bodies_are_not_in_the_log(aws: EmbeddedAws) -> None:
    """The log is shown to people and kept in folders."""
    s3, ssm = aws.client("s3"), aws.client("ssm")
    s3.create_bucket(Bucket="log-body", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    s3.put_object(Bucket="log-body", Key="key", Body=b"confidential-body")
    ssm.put_parameter(Name="/log/secret", Value="confidential-value", Type="SecureString")

    assert "confidential" not in aws.requests_log.read_text()


def test_set_up_is_not_in_the_log(aws: EmbeddedAws) -> None:
    """What the sandbox does for itself would spoil every count."""
    before = len(aws.requests())
    aws.create_user("silent")
    aws.create_network("silent")

    assert len(aws.requests()) == before


def test_an_unknown_key_is_refused(aws: EmbeddedAws) -> None:
    """moto lets anybody in; AWS says which kind of nobody it is."""
    nobody = Credentials(access_key_id="AKIAAAAAAAAAAAAAAAAA", secret_access_key="x")

    with pytest.raises(botocore.exceptions.ClientError, match="InvalidClientTokenId"):
        aws.client("sts", nobody).get_caller_identity()
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidAccessKeyId"):
        aws.client("s3", nobody).list_buckets()
    with pytest.raises(botocore.exceptions.ClientError, match="AuthFailure"):
        aws.client("ec2", nobody).describe_vpcs()


def test_the_account_header_of_moto_is_not_a_way_in(aws: EmbeddedAws) -> None:
    """moto believes a header that names the account; the gateway takes it away."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(aws))
    connection.request("GET", "/", headers={"x-moto-account-id": "999988887777"})
    status = connection.getresponse().status
    connection.close()

    assert status == 403


def test_what_moto_can_not_do_says_so_once(aws: EmbeddedAws) -> None:
    """A client would retry a 500 and hide the reason for seconds."""
    before = len(aws.requests())

    with pytest.raises(botocore.exceptions.ClientError, match="list_nodes action has not been implemented"):
        aws.client("ssm").list_nodes()
    assert len(aws.requests()) == before + 1
