"""One embedded AWS for each module of tests: starting it takes a third of a second."""

from collections.abc import Iterator

import pytest

from sandbox.aws import EmbeddedAws
from sandbox.aws.testing import embedded_aws


@pytest.fixture(name="aws", scope="module")
def _aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with embedded_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws
