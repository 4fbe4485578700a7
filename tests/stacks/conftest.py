"""One synth for all tests of a session."""

import pytest

from tests.stacks.synthesized import Synthesized, synthesize


@pytest.fixture(name="synthesized", scope="session")
def _synthesized(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    folder = tmp_path_factory.mktemp("synth") / "cdk.out"
    answer = synthesize(folder)
    assert answer.returncode == 0, answer.stderr
    return Synthesized(folder)
