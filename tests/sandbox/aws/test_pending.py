"""An endpoint that is pending long enough to be seen, also on a busy machine."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.aws import EmbeddedAws
from sandbox.aws.testing import embedded_aws
from tests.sandbox.aws.test_endpoints import ONCE, available, code_of, host_of, specification


@pytest.fixture(name="aws", scope="module")
def _aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with embedded_aws(tmp_path_factory.mktemp("aws"), pending_seconds=4.0) as aws:
        yield aws


def test_it_is_pending_for_a_while_and_nobody_answers(aws: EmbeddedAws) -> None:
    """moto's is available at once, so waiting would never be tried."""
    ec2: Any = aws.client("ec2")
    endpoint = ec2.create_vpc_endpoint(**specification(aws.create_network("tokyo")))["VpcEndpoint"]
    s3 = aws.client("s3", endpoint_url=f"https://{host_of(endpoint)}", config=ONCE)

    assert endpoint["State"] == "pending"
    assert code_of(s3.list_buckets) == "502"
    assert available(ec2, endpoint)["State"] == "available"
    assert s3.list_buckets()
