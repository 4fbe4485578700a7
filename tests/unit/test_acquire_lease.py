"""
One run of a site works at a time, and none is lost.

Each test runs against the table's stand-in and against the adapter, so that the stand-in can be trusted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from lambdas.acquire_lease.dynamodb_leases import DynamoDbLeases
from lambdas.acquire_lease.logic import (
    MAXIMUM_GRANTS,
    Attempt,
    LeaseOutcome,
    Leases,
    Occupied,
    Order,
    Taken,
    acquire,
    require_known_account,
)
from lambdas.core.errors import InvalidRequestError, LeaseHeldError
from lambdas.core.memory import Memory
from tests.unit.conftest import TABLE
from tests.unit.sites import a_grant

SITE = "tokyo"
NOW = "2026-01-31T18:00:00Z"
A, B, C, D = "run-a", "run-b", "run-c", "run-d"
SUPERSEDED = Attempt(outcome=LeaseOutcome.SUPERSEDED, memory=Memory())
NOTHING_NEW = Order()
CHECK, PENDING = Order(checks=True), Order(only_pending=True)
GRANT = Order(grant=a_grant())
FORCED = Order(intent="released", forced=True)


def wants(intent: str) -> Order:
    """Return the order to make a site this."""
    return Order(intent=intent)


PROVISION, RELEASE = wants("provisioned"), wants("released")


def at_work(**memory: Any) -> Attempt:
    """Return the attempt that got the lease."""
    return Attempt(outcome=LeaseOutcome.ACQUIRED, memory=Memory(**memory))


@dataclass
class InMemoryLeases:
    """The item of one site."""

    remembers: Memory = field(default_factory=Memory)
    holder: str | None = None
    place: tuple[str, str | None] | None = None

    def memory(self, site: str) -> Memory:
        assert site == SITE
        return self.remembers

    def take(self, site: str, *, execution: str, order: Order, instead_of: str | None) -> Taken | Occupied:
        assert site == SITE
        if self.holder not in (None, execution, instead_of):
            successor, successor_intent = self.place or (None, None)
            assert self.holder is not None
            return Occupied(holder=self.holder, successor=successor, successor_intent=successor_intent)
        self.holder = execution
        changes: dict[str, Any] = {}
        if order.intent is not None:
            changes |= {"intent": order.intent, "forced": order.forced}
        if order.intent == "released":
            changes["enforced"] = ()
        if order.grant is not None:
            others = [one for one in self.remembers.grants if one.principal != order.grant.principal]
            changes["grants"] = tuple(sorted([*others, order.grant], key=lambda one: one.principal))
        self.remembers = self.remembers.model_copy(update=changes)
        return Taken(memory=self.remembers)

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


def attempt(leases: Leases, runs: Runs, execution: str, order: Order = NOTHING_NEW) -> Attempt:
    return acquire(leases, runs, site=SITE, execution=execution, order=order, now=NOW)


def waits(leases: Leases, runs: Runs, execution: str, order: Order = NOTHING_NEW) -> LeaseHeldError:
    with pytest.raises(LeaseHeldError) as held:
        attempt(leases, runs, execution, order)
    return held.value


def occupied(leases: Leases) -> Occupied:
    """Look at the line, as somebody who gets nothing."""
    answer = leases.take(SITE, execution="an onlooker", order=NOTHING_NEW, instead_of=None)
    assert isinstance(answer, Occupied)
    return answer


def test_a_free_site_is_taken(leases: Leases, runs: Runs) -> None:
    """The usual case; a site that nobody ever said anything about should be there."""
    got = attempt(leases, runs, A)

    assert got == at_work()
    assert got.intent == "provisioned"
    assert occupied(leases).holder == A


def test_a_run_that_asks_again_still_has_its_lease(leases: Leases, runs: Runs) -> None:
    """Lambda may have done it and lost the answer; the retry must not wait for itself."""
    attempt(leases, runs, A)

    assert attempt(leases, runs, A) == at_work()


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

    held = waits(leases, runs, B)

    assert (held.site, held.holder) == (SITE, A)
    assert occupied(leases).successor == B


def test_a_third_run_is_superseded(leases: Leases, runs: Runs) -> None:
    """The one that waits will do everything that the third would do: a hundred clicks are two runs."""
    attempt(leases, runs, A)
    waits(leases, runs, B)

    got = attempt(leases, runs, C)

    assert got == SUPERSEDED
    assert got.intent is None
    assert occupied(leases) == Occupied(holder=A, successor=B, successor_intent=None)


def test_a_third_run_with_the_same_intent_is_superseded(leases: Leases, runs: Runs) -> None:
    """An intent that waits already needs no second run."""
    attempt(leases, runs, A)
    waits(leases, runs, B, PROVISION)

    assert attempt(leases, runs, C, PROVISION) == SUPERSEDED
    assert attempt(leases, runs, C) == SUPERSEDED


def test_a_third_run_with_another_intent_waits(leases: Leases, runs: Runs) -> None:
    """If it ended as superseded, somebody's explicit request would be lost."""
    attempt(leases, runs, A)
    waits(leases, runs, B, PROVISION)

    waits(leases, runs, C, RELEASE)

    assert occupied(leases).successor == B


def test_the_successor_gets_the_lease_when_the_holder_has_ended(leases: Leases, runs: Runs) -> None:
    """A stopped or timed-out run releases nothing: without this the site would be locked for ever."""
    attempt(leases, runs, A)
    waits(leases, runs, B)
    runs.running.remove(A)

    assert attempt(leases, runs, B) == at_work()
    assert occupied(leases).holder == B


def test_anybody_takes_over_from_a_dead_holder(leases: Leases, runs: Runs) -> None:
    """The next run may be tomorrow's scheduled one."""
    attempt(leases, runs, A)
    runs.running.remove(A)

    assert attempt(leases, runs, C) == at_work()
    assert attempt(leases, runs, C) == at_work()


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
    attempt(leases, runs, A, RELEASE)
    runs.running.remove(A)

    got = attempt(leases, runs, B)

    assert got == at_work(intent="released")
    assert got.intent == "released"
    assert attempt(leases, runs, B, PROVISION) == at_work(intent="provisioned")


def test_a_waiting_intent_changes_nothing_yet(leases: Leases, runs: Runs) -> None:
    """The run at work follows one intent from its first step to its last."""
    attempt(leases, runs, A)
    waits(leases, runs, B, RELEASE)

    assert attempt(leases, runs, A) == at_work()


def test_whoever_is_too_late_for_a_dead_holders_lease_waits(runs: Runs) -> None:
    """Between looking and taking, another run was quicker: there must not be two at work."""

    @dataclass
    class OvertakenLeases(InMemoryLeases):
        def take(
            self, site: str, *, execution: str, order: Order, instead_of: str | None
        ) -> Taken | Occupied:
            if instead_of is not None:
                self.holder = C
            return super().take(site, execution=execution, order=order, instead_of=instead_of)

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


@pytest.mark.parametrize("order", [CHECK, GRANT, RELEASE, FORCED])
@pytest.mark.parametrize("waiting", [NOTHING_NEW, PROVISION])
def test_who_says_something_new_is_never_superseded(
    leases: Leases, runs: Runs, waiting: Order, order: Order
) -> None:
    """The one that waits does not do it: what somebody asked for would be lost."""
    attempt(leases, runs, A)
    waits(leases, runs, B, waiting)

    for _ in range(2):
        waits(leases, runs, C, order)

    assert occupied(leases).successor == B


def test_a_release_waits_behind_a_release_when_it_says_more(leases: Leases, runs: Runs) -> None:
    """The one that waits is patient with laggards; this one was told not to be."""
    attempt(leases, runs, A)
    waits(leases, runs, B, RELEASE)

    waits(leases, runs, C, FORCED)

    assert attempt(leases, runs, D, RELEASE) == SUPERSEDED


def test_a_repeated_request_that_also_grants_waits_behind_its_like(leases: Leases, runs: Runs) -> None:
    """The one that waits makes the site what both want, and lets nobody in."""
    attempt(leases, runs, A)
    waits(leases, runs, B, PROVISION)

    waits(leases, runs, C, Order(intent="provisioned", grant=a_grant()))

    assert attempt(leases, runs, D, PROVISION) == SUPERSEDED


@pytest.mark.parametrize("waiting", [GRANT, RELEASE, FORCED])
def test_who_says_nothing_new_is_superseded_by_any_run_that_repairs(
    leases: Leases, runs: Runs, waiting: Order
) -> None:
    """Whatever else it was asked for, it reads the settings and the reports when its turn comes."""
    attempt(leases, runs, A)
    waits(leases, runs, B, waiting)

    assert attempt(leases, runs, C) == SUPERSEDED


@pytest.mark.parametrize("order", [CHECK, PENDING])
def test_a_run_that_may_do_nothing_waits_without_a_place_in_the_line(runs: Runs, order: Order) -> None:
    """A real run that took it for its substitute would be lost: a check repairs nothing."""
    leases = InMemoryLeases(remembers=Memory(pending=True))
    attempt(leases, runs, A)

    waits(leases, runs, B, order)
    alone = occupied(leases)
    waits(leases, runs, C)

    assert alone.successor is None
    assert occupied(leases).successor == C


def test_a_check_takes_a_free_lease_and_hands_it_on(leases: Leases, runs: Runs) -> None:
    """While it looks, nobody else may change what it looks at."""
    got = attempt(leases, runs, A, CHECK)

    assert got == at_work()
    assert waits(leases, runs, B).holder == A


def test_an_hourly_run_with_nothing_pending_ends_without_a_write(leases: Leases, runs: Runs) -> None:
    """Twenty-four a day for each site: none of them may cost anything, or get into anybody's way."""
    got = attempt(leases, runs, A, PENDING)

    assert got.outcome is LeaseOutcome.IDLE
    assert attempt(leases, runs, B) == at_work()


def test_an_hourly_run_with_nothing_pending_does_not_wait_either(leases: Leases, runs: Runs) -> None:
    """Somebody works on the site for an hour; the hourly run is none of the people in the line."""
    attempt(leases, runs, A)

    assert attempt(leases, runs, B, PENDING).outcome is LeaseOutcome.IDLE
    assert occupied(leases) == Occupied(holder=A, successor=None, successor_intent=None)


def test_an_hourly_run_takes_the_lease_when_something_is_pending(runs: Runs) -> None:
    """The best effort of the events was not enough: a report has changed and nobody was told."""
    leases = InMemoryLeases(remembers=Memory(pending=True, intent="released"))

    got = attempt(leases, runs, A, PENDING)

    assert got == at_work(pending=True, intent="released")


def test_an_hourly_run_is_superseded_like_any_other(runs: Runs) -> None:
    """Whoever waits will look after what is pending."""
    leases = InMemoryLeases(remembers=Memory(pending=True))
    attempt(leases, runs, A)
    waits(leases, runs, B)

    assert attempt(leases, runs, C, PENDING) == SUPERSEDED


def test_a_waiting_hourly_run_ends_when_the_holder_has_done_its_work(runs: Runs) -> None:
    """It asks again each time, as the retry makes it."""
    leases = InMemoryLeases(remembers=Memory(pending=True))
    attempt(leases, runs, A)
    waits(leases, runs, B, PENDING)
    leases.holder, leases.remembers = None, Memory(pending=False)

    assert attempt(leases, runs, B, PENDING).outcome is LeaseOutcome.IDLE
    assert leases.holder is None


def test_force_is_stored_with_its_release_and_ends_with_the_next_request(leases: Leases, runs: Runs) -> None:
    """A daily run goes on with a forced release; a site that is wanted again forgets the force."""
    first = attempt(leases, runs, A, FORCED)
    later = attempt(leases, runs, A)
    back = attempt(leases, runs, A, PROVISION)
    again = attempt(leases, runs, A, RELEASE)

    assert [one.memory.forced for one in (first, later, back, again)] == [True, True, False, False]


def test_a_grant_is_stored_for_each_principal_and_the_last_one_counts(leases: Leases, runs: Runs) -> None:
    """Extending one is asking again; the others stay."""
    longer = a_grant(expires_at="2026-02-07T22:00:00Z")
    other = a_grant("archive")
    got = [attempt(leases, runs, A, Order(grant=grant)) for grant in (a_grant(), other, longer)]

    assert [one.memory.grants for one in got] == [(a_grant(),), (other, a_grant()), (other, longer)]
    assert got[-1].intent == "provisioned"
    # Heard with the lease, in one step: a run that is stopped right behind has still been heard.
    assert leases.memory(SITE).grants == (other, longer)


def test_a_grant_on_a_released_site_is_refused(leases: Leases, runs: Runs) -> None:
    """It would be kept without effect, and come into force on the day when the site is wanted again."""
    attempt(leases, runs, A, RELEASE)

    for _ in range(2):
        with pytest.raises(InvalidRequestError, match=r"^grant: site tokyo is released, .* be granted$"):
            attempt(leases, runs, A, GRANT)

    assert leases.memory(SITE).grants == ()
    # With the request that brings it back, there is something to grant.
    assert attempt(leases, runs, A, Order(intent="provisioned", grant=a_grant())).memory.grants == (
        a_grant(),
    )


def test_one_grant_more_than_the_policy_has_room_for_is_refused(leases: Leases, runs: Runs) -> None:
    """Each takes three statements: without a limit, a run after too many could lock no bucket any more."""
    for number in range(MAXIMUM_GRANTS):
        hour = f"2026-01-31T2{number}:00:00Z"
        attempt(leases, runs, A, Order(grant=a_grant(f"reader-{number}", expires_at=hour)))
    full = leases.memory(SITE).grants

    for _ in range(2):
        with pytest.raises(InvalidRequestError, match=r"has 5 grants already.* at 2026-01-31T20:00:00Z$"):
            attempt(leases, runs, A, Order(grant=a_grant("one-more")))

    assert len(full) == MAXIMUM_GRANTS
    assert leases.memory(SITE).grants == full
    # To extend one that is there makes none more.
    longer = a_grant("reader-0", expires_at="2026-02-02T00:00:00Z")
    assert longer in attempt(leases, runs, A, Order(grant=longer)).memory.grants


def test_grants_that_are_over_take_nobodys_place(leases: Leases, runs: Runs) -> None:
    """A site whose runs fail keeps them in its item, and that is when somebody must get at the backups."""
    for number in range(MAXIMUM_GRANTS):
        attempt(leases, runs, A, Order(grant=a_grant(f"reader-{number}", expires_at=NOW)))

    assert a_grant() in attempt(leases, runs, A, GRANT).memory.grants


def test_a_grant_goes_to_the_own_account_or_to_one_that_the_stack_names() -> None:
    """Whoever may send an event decides that somebody reads, but not in whose account."""
    own, named, foreign = "111122223333", "444455556666", "100000000001"
    for account in (own, named):
        require_known_account(f"arn:aws:iam::{account}:role/r", own=own, recovery_accounts=[named])

    for accounts in ([named], [""]):
        with pytest.raises(
            InvalidRequestError, match=rf"^grant\.principal: account {foreign} .*recovery_accounts; add it"
        ):
            require_known_account(f"arn:aws:iam::{foreign}:role/r", own=own, recovery_accounts=accounts)


def test_a_waiting_grant_changes_nothing_yet(leases: Leases, runs: Runs) -> None:
    """The run at work has one picture of the site, from its first step to its last."""
    attempt(leases, runs, A)
    waits(leases, runs, B, GRANT)

    assert attempt(leases, runs, A) == at_work()


def test_a_site_that_somebody_wants_released_forgets_what_was_locked(runs: Runs) -> None:
    """
    Stopped half-way, the release can't say how far it came: servers may be back on public endpoints.

    Should the site be wanted again, they must be asked anew before anything is locked.
    """
    leases = InMemoryLeases(remembers=Memory(enforced=("backups",), endpoints=("vpce-1",)))
    attempt(leases, runs, A, RELEASE)
    runs.running.remove(A)

    got = attempt(leases, runs, B, PROVISION)

    assert (got.memory.enforced, got.memory.endpoints) == ((), ("vpce-1",))


@pytest.mark.parametrize("order", [NOTHING_NEW, PROVISION, GRANT, CHECK])
def test_no_other_order_forgets_what_was_locked(runs: Runs, order: Order) -> None:
    """The lock that somebody took off by hand would not be put back."""
    leases = InMemoryLeases(remembers=Memory(enforced=("backups",)))

    assert attempt(leases, runs, A, order).memory.enforced == ("backups",)
