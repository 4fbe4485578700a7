"""What the tests of the client share: a certificate authority and a fake S3."""

import pytest

from sandbox.certificates import SandboxCa
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3


@pytest.fixture(name="ca", scope="session")
def _ca(tmp_path_factory: pytest.TempPathFactory) -> SandboxCa:
    return SandboxCa(tmp_path_factory.mktemp("ca"))


@pytest.fixture(name="s3")
def _s3() -> InMemoryS3:
    return InMemoryS3(objects={"vbr-tokyo": {}})
