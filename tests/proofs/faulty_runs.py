"""What the tests of the fault matrix share: a sandbox in a hurry, and the one way to judge a set of cases."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sandbox.aws.errors import ErrorAnswer
from sandbox.aws.faults import Refused, Strike
from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT
from tests.proofs.fault_matrix import Call, Matrix, Trouble, Verdict
from tests.proofs.site_world import EMPTY, Start, World

SITE = {"site": "tokyo"}
RELEASE = {"site": "tokyo", "intent": "released"}
DENIED = Refused(
    answer=ErrorAnswer(status=400, code="AccessDeniedException", message="You are not authorized.")
)

each_trouble = pytest.mark.parametrize("trouble", Trouble, ids=lambda trouble: trouble.name.lower())


@contextlib.contextmanager
def hurried_world(assembly: Path, state: Path) -> Iterator[World]:
    """Run a sandbox in which nothing is pending and retries wait a hundredth as long."""
    options = SandboxOptions(state=state, root=ROOT, pending_seconds=0, assembly=assembly, waits=0.01)
    with Sandbox(options) as sandbox:
        yield World(sandbox)


def provisioned(world: World) -> Start:
    """Make the site once, and take what there is then."""
    world.build(EMPTY)
    run = world.run(SITE)
    assert run.status == "SUCCEEDED", run.cause
    return world.taken()


def publication_denied() -> Strike:
    """The last step before the commit point always fails, so that everything is undone."""
    return Strike(
        source="lambda:vbr-privatelink-publish-endpoint",
        call="ssm:PutParameter",
        fault=DENIED,
        times=None,
    )


def assert_no_half_state(
    matrix: Matrix,
    cases: Sequence[tuple[Call, Trouble]],
    *,
    about: str,
    record_property: Callable[[str, object], None],
) -> None:
    """Judge *cases*, tell the figures, and fail with every problem."""
    assert cases
    figures = matrix.judge(cases)
    record_property("figures", f"{about}: {figures}")

    assert not figures.problems, "\n".join(figures.problems)
    assert figures.verdicts[Verdict.HALF] == 0
