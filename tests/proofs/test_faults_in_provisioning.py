"""Every fault at every AWS call of a run that makes a new site."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.aws.faults import Strike
from tests.proofs.fault_matrix import Matrix, Scenario, Trouble, Verdict, sample
from tests.proofs.faulty_runs import DENIED, SITE, assert_no_half_state, each_trouble, hurried_world
from tests.proofs.site_world import EMPTY, World
from tests.stories.workflow import Workflow

Record = Callable[[str, object], None]


@pytest.fixture(scope="module", name="world")
def _world(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with hurried_world(assembly, tmp_path_factory.mktemp("sandbox")) as world:
        yield world


@pytest.fixture(scope="module", name="matrix")
def _matrix(world: World) -> Matrix:
    return Matrix(world, Scenario(start=EMPTY, request=SITE, then=SITE))


def test_every_step_is_among_the_calls(matrix: Matrix) -> None:
    """The calls are taken from a real run; a run that made none would prove nothing."""
    functions = {call.source for call in matrix.calls if call.source != "states"}
    invoked = {call.function for call in matrix.calls if call.source == "states"}
    troubles = {trouble for _, trouble in matrix.cases()}

    assert {f"lambda:vbr-privatelink-{step}" for step in ("ensure-bucket", "publish-endpoint")} <= functions
    assert len(functions) == len(invoked) == 10
    assert len(matrix.calls) >= 30
    assert troubles == set(Trouble)


def test_a_sample_of_faults_leaves_no_half_state(matrix: Matrix, record_property: Record) -> None:
    """A slice that is always the same, for every day; the whole table runs with the long tests."""
    cases = list(sample(matrix.cases(), every=24))

    assert_no_half_state(matrix, cases, about="a new site, a sample", record_property=record_property)


@pytest.mark.long
@each_trouble
def test_no_fault_leaves_a_half_state(matrix: Matrix, trouble: Trouble, record_property: Record) -> None:
    """Success after retries, or a clean failure with everything undone; and then the next run does it all."""
    cases = [case for case in matrix.cases() if case[1] is trouble]

    assert_no_half_state(matrix, cases, about=f"a new site, {trouble}", record_property=record_property)


def test_the_matrix_sees_a_half_state(world: World, matrix: Matrix) -> None:
    """Judged by a product whose undo does nothing: a matrix that can't see that sees nothing."""
    [case] = [
        (call, trouble)
        for call, trouble in matrix.cases()
        if call.operation == "ec2:DescribeNetworkInterfaces" and trouble is Trouble.DENIED
    ]
    undo = Strike(
        source="lambda:vbr-privatelink-undo-provisioning",
        call="ec2:DeleteVpcEndpoints",
        fault=DENIED,
        times=None,
    )
    with world.sandbox.aws.faults.armed(undo):
        seen = matrix.judge([case])
    unseen = matrix.judge([case])

    assert seen.verdicts[Verdict.HALF] == 1
    assert "neither before" in seen.problems[0]
    assert unseen.verdicts[Verdict.FAILED] == 1


def test_the_matrix_sees_a_run_that_gives_up_too_early(world: World, matrix: Matrix) -> None:
    """What passes must be waited for: AccessDenied in its place is a failure that needn't have been."""
    [case] = [
        (call, trouble)
        for call, trouble in matrix.cases()
        if call.operation == "s3:PutBucketPolicy" and trouble is Trouble.BUSY
    ]
    with Workflow(world.sandbox).denied("attach-bucket-policy", "s3:PutBucketPolicy"):
        seen = matrix.judge([case])

    assert seen.verdicts[Verdict.HALF] == 1
    assert "AccessDeniedError" in seen.problems[0]
