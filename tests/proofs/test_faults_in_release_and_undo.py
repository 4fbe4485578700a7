"""Every fault at every AWS call of a run that releases a site, and of one that fails and is undone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proofs.fault_matrix import Matrix, Scenario, Trouble, sample
from tests.proofs.faulty_runs import (
    RELEASE,
    SITE,
    assert_no_half_state,
    each_trouble,
    hurried_world,
    provisioned,
    publication_denied,
)
from tests.proofs.site_world import EMPTY, World

Record = Callable[[str, object], None]


@pytest.fixture(scope="module", name="world")
def _world(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with hurried_world(assembly, tmp_path_factory.mktemp("sandbox")) as world:
        yield world


@pytest.fixture(scope="module", name="release")
def _release(world: World) -> Matrix:
    return Matrix(world, Scenario(start=provisioned(world), request=RELEASE, then=RELEASE, goes_on=True))


@pytest.fixture(scope="module", name="undo")
def _undo(world: World) -> Matrix:
    return Matrix(world, Scenario(start=EMPTY, request=SITE, then=SITE, broken=publication_denied()))


def test_the_calls_of_the_undo_are_those_behind_the_failure(undo: Matrix) -> None:
    """What the run did before it failed is another table's."""
    sources = [call.source.rpartition("-privatelink-")[2] for call in undo.calls]

    assert {"attach-bucket-policy", "undo-provisioning", "release-lease", "states"} <= set(sources)
    assert not {"ensure-bucket", "ensure-endpoint", "publish-endpoint"} & set(sources)


def test_a_sample_of_faults_in_a_release_leaves_no_half_state(
    release: Matrix, record_property: Record
) -> None:
    """A release is not undone: it has come some part of its way, in its order, and the next run goes on."""
    cases = list(sample(release.cases(), every=22))

    assert_no_half_state(release, cases, about="a release, a sample", record_property=record_property)


def test_a_sample_of_faults_in_an_undo_leaves_no_half_state(undo: Matrix, record_property: Record) -> None:
    """The second fault of a run, on the way back."""
    cases = list(sample(undo.cases(), every=22))

    assert_no_half_state(undo, cases, about="an undo, a sample", record_property=record_property)


@pytest.mark.long
@each_trouble
def test_no_fault_in_a_release_leaves_a_half_state(
    release: Matrix, trouble: Trouble, record_property: Record
) -> None:
    """Never an endpoint that is gone while servers are told to use it, nor a lock that outlives it."""
    cases = [case for case in release.cases() if case[1] is trouble]

    if cases:
        assert_no_half_state(release, cases, about=f"a release, {trouble}", record_property=record_property)
    else:
        assert trouble is Trouble.NOT_SEEN_YET  # A release creates nothing.


@pytest.mark.long
@each_trouble
def test_no_fault_in_an_undo_leaves_a_half_state(
    undo: Matrix, trouble: Trouble, record_property: Record
) -> None:
    """What passes delays the undo; what lasts is left, with the run's tag, to the next run."""
    cases = [case for case in undo.cases() if case[1] is trouble]

    assert_no_half_state(undo, cases, about=f"an undo, {trouble}", record_property=record_property)
