"""
Faults at the AWS calls of a run that replaces an endpoint which somebody has deleted.

What passes is tried at the calls that change something: the reads are those of the run that makes a new site,
and have been through everything there. What lasts is tried at every call, because here the undo has something
to lose.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proofs.fault_matrix import Call, Matrix, Scenario, Trouble, sample
from tests.proofs.faulty_runs import SITE, assert_no_half_state, each_trouble, hurried_world, provisioned

Record = Callable[[str, object], None]


@pytest.fixture(scope="module", name="matrix")
def _matrix(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with hurried_world(assembly, tmp_path_factory.mktemp("sandbox")) as world:
        gone = dataclasses.replace(provisioned(world), endpoint=None, group=None)
        yield Matrix(world, Scenario(start=gone, request=SITE, then=SITE))


def cases(matrix: Matrix) -> list[tuple[Call, Trouble]]:
    return [(call, trouble) for call, trouble in matrix.cases() if trouble.lasts or not call.readonly]


def test_a_sample_of_faults_leaves_no_half_state(matrix: Matrix, record_property: Record) -> None:
    """What is undone here is a policy that servers rely on: it must be what it was."""
    chosen = list(sample(cases(matrix), every=24))

    assert_no_half_state(
        matrix, chosen, about="a replaced endpoint, a sample", record_property=record_property
    )


@pytest.mark.long
@each_trouble
def test_no_fault_leaves_a_half_state(matrix: Matrix, trouble: Trouble, record_property: Record) -> None:
    """Servers follow the published document: it and the policy belong together at every moment."""
    chosen = [case for case in cases(matrix) if case[1] is trouble]

    assert_no_half_state(
        matrix, chosen, about=f"a replaced endpoint, {trouble}", record_property=record_property
    )
