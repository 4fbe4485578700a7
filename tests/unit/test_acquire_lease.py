"""
One run of a site works at a time, and none is lost.

Each test runs against the table's stand-in and against the adapter, so that the stand-in can be trusted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from lambdas.acquire_lease.dynamodb_leases import DynamoDbLeases
from lambdas.acquire_lease.logic import Attempt, LeaseOutcome, Leases, Occupied, Taken, acquire
from lambdas.core.errors import LeaseHeldError
from tests.unit.conftest import TABLE

SITE = "tokyo"
A, B, C, D = "run-a", "run-b", "run-c", "run-d"
AT_WORK = Attempt(outcome=LeaseOutcome.ACQUIRED, intent="provisioned")
SUPERSEDED = Attempt(outcome=LeaseOutcome.SUPERSEDED, intent=None)


@dataclass
class InMemoryLeases:
    """The item of one site."""

    intent: str | None = None
    holder: str | None = None
    place: tuple[str, str | None] | None = None

    def take(
        self, site: str, *, execution: str, intent: str | None, instead_of: str | None
    ) -> Taken | Occupied:
        assert site == SITE
        if self.holder not in (None, execution, instead_of):
            successor, successor_intent = self.place or (None, None)
            assert self.holder is not None
            return Occupied(holder=self.holder, successor=successor, successor_intent=successor_intent)
        self.holder = execution
        self.intent = intent or self.intent
        return Taken(intent=self.intent)

    def line_up(self, site: str, *, execution: str, intent: str | None, instead_of: str | None) -> bool:
        assert site == SITE
        if self.place is not None and self.place[0] != instead_of:
            return False
        self.place = (execution, intent)
        return True


@dataclass
class Runs:
    """Which runs have not ended."""

    running: set[str] = field(default_factory=lambda: {A, B, C, D})

    def is_running(self, execution: str) -> bool:
        return execution in self.running


@pytest.fixture(name="leases", params=["stand-in", "dynamodb"])
def _leases(request: pytest.FixtureRequest) -> Iterator[Leases]:
    if request.param == "stand-in":
        yield InMemoryLeases()
        return
    client: DynamoDBClient = request.getfixturevalue("dynamodb")
    yield DynamoDbLeases(client, table=TABLE)


@pytest.fixture(name="runs")
def _runs() -> Runs:
    return Runs()


def attempt(leases: Leases, runs: Runs, execution: str, intent: str | None = None) -> Attempt:
    return acquire(leases, runs, site=SITE, execution=execution, intent=intent)


def waits(leases: Leases, runs: Runs, execution: str, intent: str | None = None) -> LeaseHeldError:
    with pytest.raises(LeaseHeldError) as held:
        attempt(leases, runs, execution, intent)
    return held.value


def occupied(leases: Leases) -> Occupied:
    """Look at the line, as somebody who gets nothing."""
    answer = leases.take(SITE, execution="an onlooker", intent=None, instead_of=None)
    assert isinstance(answer, Occupied)
    return answer


def test_a_free_site_is_taken(leases: Leases, runs: Runs) -> None:
    """The usual case; a site that nobody ever said anything about should be there."""
    got = attempt(leases, runs, A)

    assert got == AT_WORK
    assert occupied(leases).holder == A


def test_a_run_that_asks_again_still_has_its_lease(leases: Leases, runs: Runs) -> None:
    """Lambda may have done it and lost the answer; the retry must not wait for itself."""
    attempt(leases, runs, A)

    assert attempt(leases, runs, A) == AT_WORK


def test_a_second_run_waits_and_lines_up(leases: Leases, runs: Runs) -> None:
    """It may have been started because something changed that the first run read too early."""
    attempt(leases, runs, A)

    held = waits(leases, runs, B)

    assert (held.site, held.holder) == (SITE, A)
    assert A in str(held)
    assert occupied(leases).successor == B


def test_a_waiting_run_keeps_its_place_when_it_asks_again(leases: Leases, runs: Runs) -> None:
    """Waiting is a retry: the same run comes many times, and is never superseded by itself."""
    attempt(leases, runs, A)
    waits(leases, runs, B)

    waits(leases, runs, B)

    assert occupied(leases).successor == B


def test_a_third_run_is_superseded(leases: Leases, runs: Runs) -> None:
    """The one that waits will do everything that the third would do: a hundred clicks are two runs."""
    attempt(leases, runs, A)
    waits(leases, runs, B)

    got = attempt(leases, runs, C)

    assert got == SUPERSEDED
    assert occupied(leases) == Occupied(holder=A, successor=B, successor_intent=None)


def test_a_third_run_with_the_same_intent_is_superseded(leases: Leases, runs: Runs) -> None:
    """An intent that waits already needs no second run."""
    attempt(leases, runs, A)
    waits(leases, runs, B, "provisioned")

    assert attempt(leases, runs, C, "provisioned") == SUPERSEDED
    assert attempt(leases, runs, C, None) == SUPERSEDED


def test_a_third_run_with_another_intent_waits(leases: Leases, runs: Runs) -> None:
    """If it ended as superseded, somebody's explicit request would be lost."""
    attempt(leases, runs, A)
    waits(leases, runs, B, "provisioned")

    waits(leases, runs, C, "released")

    assert occupied(leases).successor == B


def test_the_successor_gets_the_lease_when_the_holder_has_ended(leases: Leases, runs: Runs) -> None:
    """A stopped or timed-out run releases nothing: without this the site would be locked for ever."""
    attempt(leases, runs, A)
    waits(leases, runs, B)
    runs.running.remove(A)

    assert attempt(leases, runs, B) == AT_WORK
    assert occupied(leases).holder == B


def test_anybody_takes_over_from_a_dead_holder(leases: Leases, runs: Runs) -> None:
    """The next run may be tomorrow's scheduled one."""
    attempt(leases, runs, A)
    runs.running.remove(A)

    assert attempt(leases, runs, C) == AT_WORK
    assert attempt(leases, runs, C) == AT_WORK


def test_a_dead_successor_is_replaced(leases: Leases, runs: Runs) -> None:
    """A run that was stopped while it waited must not supersede others."""
    attempt(leases, runs, A)
    waits(leases, runs, B)
    runs.running.remove(B)

    waits(leases, runs, C)

    assert occupied(leases).successor == C


def test_the_place_that_the_holder_left_in_the_line_counts_for_nothing(leases: Leases, runs: Runs) -> None:
    """B waited and now works; a newcomer that took B for a waiting run would lose its request."""
    attempt(leases, runs, A)
    waits(leases, runs, B)
    runs.running.remove(A)
    attempt(leases, runs, B)

    waits(leases, runs, C)

    assert occupied(leases) == Occupied(holder=B, successor=C, successor_intent=None)
    assert attempt(leases, runs, D) == SUPERSEDED


def test_an_intent_is_stored_with_the_lease_and_followed_from_then_on(leases: Leases, runs: Runs) -> None:
    """Only an explicit request changes it: tomorrow's scheduled run must not bring a site back."""
    attempt(leases, runs, A, "released")
    runs.running.remove(A)

    got = attempt(leases, runs, B)

    assert got == Attempt(outcome=LeaseOutcome.ACQUIRED, intent="released")
    assert attempt(leases, runs, B, "provisioned") == AT_WORK


def test_a_waiting_intent_changes_nothing_yet(leases: Leases, runs: Runs) -> None:
    """The run at work follows one intent from its first step to its last."""
    attempt(leases, runs, A)
    waits(leases, runs, B, "released")

    assert attempt(leases, runs, A) == AT_WORK


def test_whoever_is_too_late_for_a_dead_holders_lease_waits(runs: Runs) -> None:
    """Between looking and taking, another run was quicker: there must not be two at work."""

    @dataclass
    class OvertakenLeases(InMemoryLeases):
        def take(
            self, site: str, *, execution: str, intent: str | None, instead_of: str | None
        ) -> Taken | Occupied:
            if instead_of is not None:
                self.holder = C
            return super().take(site, execution=execution, intent=intent, instead_of=instead_of)

    leases = OvertakenLeases(holder=A)
    runs.running.remove(A)

    held = waits(leases, runs, B)

    assert held.holder == C
    assert leases.holder == C


def test_whoever_is_too_late_for_the_line_waits_all_the_same(runs: Runs) -> None:
    """Losing that race is no error; the next attempt sees who won."""

    @dataclass
    class CrowdedLeases(InMemoryLeases):
        def line_up(self, site: str, *, execution: str, intent: str | None, instead_of: str | None) -> bool:
            self.place = (C, None)
            return super().line_up(site, execution=execution, intent=intent, instead_of=instead_of)

    leases = CrowdedLeases(holder=A)

    waits(leases, runs, B)

    assert attempt(leases, runs, B) == SUPERSEDED
