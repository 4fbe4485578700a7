"""
What a run leaves behind: for the next run, for the people who read the status, and as news.

News twice is noise that nobody reads; news that is missing is a hole in the audit.
"""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.core.drift import NOT_OURS, ONLY_CHECKED, Drift
from lambdas.core.errors import AwsUnavailableError
from lambdas.core.memory import Memory
from lambdas.core.status import SiteStatus
from lambdas.release_lease.eventbridge_events import EventBridgeEvents
from lambdas.release_lease.logic import Event, LastRun, Legacy, RunState, events, legacy
from tests.unit.sites import ENDPOINT_ID, a_grant, execution

RUN = execution("a")
OLD = "vpce-0fedcba9876543210"
STARTED_AT = "2026-01-31T12:00:00Z"
ABOUT = {"site": "tokyo", "execution": RUN}
ADOPTION: dict[str, Any] = {
    "enforce": ["backups"],
    "pending": [],
    "let_in": [ENDPOINT_ID],
    "retired": [],
    "retire": False,
    "waits_for": [],
    "waiting": False,
    "why": None,
    "servers": [],
    "moved": [],
}
HELD_BACK: dict[str, Any] = {
    **ADOPTION,
    "enforce": [],
    "pending": ["backups"],
    "waits_for": ["vbr01"],
    "waiting": True,
}
MOVING: dict[str, Any] = {
    **ADOPTION,
    "let_in": [ENDPOINT_ID, OLD],
    "waits_for": ["vbr01"],
    "waiting": True,
}
ERROR = {"Error": "ServersNotBackError", "Cause": json.dumps({"errorMessage": "vbr01: no report"})}
CONVERGED = Memory(
    intent="provisioned",
    enforced=("backups",),
    endpoints=(ENDPOINT_ID,),
    locked="0123456789abcdef",
    status=SiteStatus(
        state="enforced", intent="provisioned", enforced=("backups",), let_in=(ENDPOINT_ID,)
    ).to_json(),
)
ACTIVE = a_grant(expires_at="2026-01-31T12:00:01Z")
# At the very second: the policy compares with "less than".
OVER = a_grant("archive", expires_at=STARTED_AT)


def a_run(
    memory: Memory = CONVERGED, *, intent: str = "provisioned", repair: bool = True, **state: Any
) -> RunState:
    """Return the state of a run that came to its end, as Step Functions hands it over."""
    lease = {
        **ABOUT,
        "outcome": "acquired",
        "intent": intent,
        "repair": repair,
        "purpose": "reconcile" if repair else "check",
        "started_at": STARTED_AT,
        "memory": memory.model_dump(mode="json"),
    }
    return RunState.model_validate({"lease": lease, **state})


def provisioned(memory: Memory = CONVERGED, **state: Any) -> RunState:
    """Return the state of a run that found or made everything as it should be."""
    usual: dict[str, Any] = {
        "site": {"site": "tokyo"},
        "bucket": {"changed": False, "created": [], "enforced": ["backups"], "pending": [], "drift": []},
        "endpoint": {"changed": False, "vpc_endpoint_id": ENDPOINT_ID, "others": [], "drift": []},
        "adoption": ADOPTION,
        "policy": {"changed": False, "buckets": [], "locked": "0123456789abcdef", "drift": []},
        "publication": {"changed": False, "version": 1},
    }
    return a_run(memory, **{**usual, **state})


def released(memory: Memory = CONVERGED, *, back: bool, waits_for: tuple[str, ...] = ()) -> RunState:
    """Return the state of a run that released the site as far as its servers let it."""
    state: dict[str, Any] = {
        "site": {"site": "tokyo"},
        "detachment": {"changed": True, "buckets": ["backups"]},
        "publication": {"changed": True, "version": 2},
        "reversion": {"back": back, "waits_for": list(waits_for), "servers": [], "moved": []},
    }
    if back:
        state["removal"] = {"changed": True, "removed": [ENDPOINT_ID]}
    return a_run(memory, intent="released", **state)


def drift(*, repaired: bool = True, why: str | None = None) -> dict[str, Any]:
    return Drift(
        resource="backups",
        property="public access",
        found="not blocked",
        wanted="blocked",
        repaired=repaired,
        why=why,
    ).model_dump()


def news(run: RunState) -> list[Event]:
    return events(run, legacy(run), tell_unchanged=False)


def kinds(run: RunState) -> list[str]:
    return [event.kind for event in news(run)]


def remembering(left: Legacy, memory: Memory) -> Memory:
    """Return what the next run reads, as the table would give it back."""
    return left.memory.model_copy(update={"status": left.status.to_json() if left.status else memory.status})


def test_a_run_that_found_everything_as_it_was_has_no_news() -> None:
    """And the next one doesn't either: nothing is said to nobody, day after day."""
    run = provisioned()

    assert news(run) == []
    assert remembering(legacy(run), CONVERGED) == CONVERGED


def test_a_first_run_says_where_the_site_stands() -> None:
    """Once; what it leaves is what the next one compares with."""
    first = provisioned(Memory(intent="provisioned"))
    left = legacy(first)

    (event,) = events(first, left, tell_unchanged=False)

    assert left.status is not None
    assert event == Event(
        kind="Site Status",
        detail={
            **ABOUT,
            "state": "enforced",
            "intent": "provisioned",
            "enforced": ["backups"],
            "pending": [],
            "pending_since": None,
            "servers": [],
            "moved": [],
            "waits_for": [],
            "why": None,
            "let_in": [ENDPOINT_ID],
            "grants": [],
            "left": [],
            "error": None,
        },
    )
    assert remembering(left, Memory()) == CONVERGED
    assert news(provisioned(remembering(left, Memory()))) == []


@pytest.mark.parametrize(
    ("adoption", "state", "enforced", "endpoints", "pending"),
    [
        (ADOPTION, "enforced", ("backups",), (ENDPOINT_ID,), False),
        (HELD_BACK, "enforcement pending", (), (ENDPOINT_ID,), True),
        ({**HELD_BACK, "waits_for": [], "why": "w"}, "enforcement pending", (), (ENDPOINT_ID,), True),
        (MOVING, "enforced", ("backups",), (ENDPOINT_ID, OLD), True),
    ],
)
def test_what_a_provisioned_site_remembers(
    adoption: dict[str, Any],
    state: str,
    enforced: tuple[str, ...],
    endpoints: tuple[str, ...],
    *,
    pending: bool,
) -> None:
    """The hourly run looks after whatever is held back, and after nothing else."""
    left = legacy(provisioned(Memory(intent="provisioned"), adoption=adoption))

    assert left.status is not None
    assert (left.status.state, left.status.enforced, left.status.let_in) == (state, enforced, endpoints)
    assert (left.status.pending, left.status.waits_for, left.status.why) == (
        tuple(adoption["pending"]),
        tuple(adoption["waits_for"]),
        adoption["why"],
    )
    assert (left.memory.enforced, left.memory.endpoints, left.memory.pending) == (
        enforced,
        endpoints,
        pending,
    )
    assert left.memory.locked == "0123456789abcdef"


def test_the_status_says_what_was_left_because_it_is_somebody_elses() -> None:
    """It stays so until its owner does something: people must be able to read it every day."""
    run = provisioned(
        bucket={"drift": [drift(repaired=False, why=NOT_OURS), drift()]},
        endpoint={"drift": [drift(repaired=False, why="it is pending")]},
    )
    left = legacy(run)

    assert left.status is not None
    assert left.status.left == ("backups, public access: not blocked -> blocked",)


@pytest.mark.parametrize(
    ("back", "waits_for", "state", "endpoints"),
    [
        (True, (), "released", ()),
        # Forced: whom it hit stays on record.
        (True, ("vbr02",), "released", ()),
        (False, ("vbr01", "vbr02"), "release pending", (ENDPOINT_ID, OLD)),
    ],
)
def test_what_a_released_site_remembers(
    waits_for: tuple[str, ...], state: str, endpoints: tuple[str, ...], *, back: bool
) -> None:
    """The lock is off; while servers go back, their endpoints are known, and the hourly run has work."""
    before = CONVERGED.model_copy(update={"intent": "released", "endpoints": (ENDPOINT_ID, OLD)})

    left = legacy(released(before, back=back, waits_for=waits_for))

    assert left.status is not None
    assert left.status.model_dump() == {
        **SiteStatus(state="released", intent="released").model_dump(),
        "state": state,
        "pending_since": None if back else STARTED_AT,
        "waits_for": waits_for,
        "let_in": endpoints,
    }
    assert left.memory.enforced == ()
    assert left.memory.locked is None
    assert left.memory.endpoints == endpoints
    assert left.memory.pending is not back
    assert left.memory.intent == "released"


def test_a_released_site_stays_released_in_silence() -> None:
    """The daily run comes by for ever."""
    left = legacy(released(back=True))
    again = released(remembering(left, CONVERGED), back=True)

    assert kinds(released(back=True)) == ["Site Status"]
    assert news(again) == []
    assert remembering(legacy(again), CONVERGED) == remembering(left, CONVERGED)


BUSY = CONVERGED.model_copy(
    update={"forced": True, "pending": True, "endpoints": (ENDPOINT_ID, OLD), "grants": (OVER, ACTIVE)}
)


@pytest.mark.parametrize(
    "run",
    [
        a_run(BUSY, error=ERROR),
        provisioned(BUSY, adoption=HELD_BACK, error=ERROR),
        a_run(BUSY, intent="released", reversion={"back": True, "waits_for": []}, error=ERROR),
        a_run(BUSY, repair=False, error=ERROR),
    ],
)
def test_a_failed_run_keeps_what_is_remembered(run: RunState) -> None:
    """It was undone, as far as it had come; the next one starts from the same point."""
    left = legacy(run)

    assert left.memory == BUSY
    assert left.ended == ()
    assert left.status is not None
    assert (left.status.state, left.status.enforced, left.status.let_in) == (
        "failed",
        ("backups",),
        (ENDPOINT_ID, OLD),
    )
    assert left.status.error == "ServersNotBackError: vbr01: no report"


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (json.dumps({"errorMessage": "words", "errorType": "x", "stackTrace": ["..."]}), "words"),
        ("words", "words"),
        ("", ""),
        ("5", "5"),
        ("[1]", "[1]"),
        (json.dumps({"other": 1}), json.dumps({"other": 1})),
        ("{half a docu", "{half a docu"),
    ],
)
def test_the_sentence_is_taken_out_of_what_lambda_puts_around_it(cause: str, words: str) -> None:
    """A time-out or the platform itself put none around it."""
    left = legacy(a_run(error={"Error": "SomeError", "Cause": cause}))

    assert left.status is not None
    assert left.status.error == f"SomeError: {words}"


def test_an_error_stays_short_and_may_have_no_cause() -> None:
    """The status is an item's attribute and an event; both have limits."""
    long = legacy(a_run(error={"Error": "SomeError", "Cause": "x" * 40_000})).status
    bare = legacy(a_run(error={"Error": "States.Timeout"})).status

    assert long is not None
    assert bare is not None
    assert len(long.error or "") == 1000
    assert bare.error == "States.Timeout: "


def test_the_same_failure_is_news_once() -> None:
    """The mail tells of each failed run; the event tells when the status changes."""
    first = a_run(error=ERROR)
    memory = remembering(legacy(first), CONVERGED)

    assert kinds(first) == ["Site Status"]
    assert kinds(a_run(memory, error=ERROR)) == []
    assert kinds(a_run(memory, error={**ERROR, "Cause": "something else"})) == ["Site Status"]
    assert kinds(provisioned(memory)) == ["Site Status"]


@pytest.mark.parametrize(
    "run",
    [
        a_run(BUSY, repair=False),
        provisioned(BUSY, adoption=HELD_BACK),
        a_run(BUSY, repair=False, intent="released"),
    ],
)
def test_a_check_keeps_what_is_remembered_and_says_nothing_of_the_status(run: RunState) -> None:
    """It has changed nothing, so nothing may be different afterwards, not even for a grant that is over."""
    check = run.model_copy(update={"lease": run.lease.model_copy(update={"repair": False})})

    assert legacy(check) == Legacy(
        memory=BUSY,
        ended=(),
        status=None,
        last_run=LastRun(started_at=STARTED_AT, purpose=run.lease.purpose, failed=False),
    )
    assert news(check) == []


def test_a_check_tells_of_all_drift_that_it_found() -> None:
    """Somebody has asked for it."""
    found = [drift(repaired=False, why=ONLY_CHECKED), drift(repaired=False, why=NOT_OURS)]
    run = a_run(repair=False, bucket={"drift": found[:1]}, endpoint={"drift": found[1:]})

    assert news(run) == [Event(kind="Drift Found", detail={**ABOUT, "drift": found})]


def test_repaired_drift_is_told_with_everything_that_was_found() -> None:
    """Of the bucket, the endpoint and the policy, in one event; what was left beside it belongs to it."""
    left_alone = drift(repaired=False, why=NOT_OURS)
    found = [drift(), left_alone, drift()]
    memory = remembering(legacy(provisioned(bucket={"drift": [left_alone]})), CONVERGED)
    run = provisioned(
        memory,
        bucket={"drift": found[:1]},
        endpoint={"drift": found[1:2]},
        policy={"drift": found[2:], "locked": "0123456789abcdef"},
    )

    assert news(run) == [Event(kind="Drift Found", detail={**ABOUT, "drift": found})]


@pytest.mark.parametrize("why", [NOT_OURS, "it is pending"])
def test_drift_that_stays_is_not_told_each_day(why: str) -> None:
    """What must not be repaired is in the status, and is news when it appears there."""
    run = provisioned(bucket={"drift": [drift(repaired=False, why=why)]})
    again = provisioned(
        remembering(legacy(run), CONVERGED), bucket={"drift": [drift(repaired=False, why=why)]}
    )

    assert kinds(run) == (["Site Status"] if why == NOT_OURS else [])
    assert kinds(again) == []


def test_drift_that_a_failed_run_has_repaired_is_told_all_the_same() -> None:
    """Buckets are not undone: what was closed again was open."""
    assert kinds(a_run(bucket={"drift": [drift()]}, error=ERROR)) == ["Site Status", "Drift Found"]


def grants_of(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.detail.items() if name not in ABOUT}


def test_a_grant_is_told_once_and_its_end_is_told_once() -> None:
    """Who could read the backups, from when to when and why: that is what an auditor asks for."""
    memory = CONVERGED.model_copy(update={"grants": (ACTIVE,)})
    granted = provisioned(memory)
    known = remembering(legacy(granted), memory)
    going_on = provisioned(known)
    late = known.model_copy(update={"grants": (ACTIVE.model_copy(update={"expires_at": STARTED_AT}),)})
    over = provisioned(late)
    after = provisioned(remembering(legacy(over), late))

    assert kinds(granted) == ["Site Status", "Access Granted"]
    assert grants_of(news(granted)[1]) == ACTIVE.model_dump()
    assert news(going_on) == []
    assert kinds(over) == ["Site Status", "Access Ended"]
    assert grants_of(news(over)[1]) == late.grants[0].model_dump()
    assert news(after) == []


def test_a_grant_that_goes_on_keeps_the_hourly_run_at_work_until_it_is_over() -> None:
    """Somebody has to take the exception out of the policy in time."""
    memory = CONVERGED.model_copy(update={"grants": (ACTIVE, OVER)})
    left = legacy(provisioned(memory))

    assert (left.memory.grants, left.memory.pending, left.ended) == ((ACTIVE,), True, (OVER,))
    assert left.status is not None
    assert (left.status.state, left.status.grants) == ("enforced", (ACTIVE,))
    assert legacy(provisioned(CONVERGED.model_copy(update={"grants": (OVER,)}))).memory.pending is False


def test_an_extended_grant_is_told_anew() -> None:
    """It is another exception, with another end and perhaps another reason."""
    longer = ACTIVE.model_copy(update={"expires_at": "2026-02-07T12:00:00Z"})
    memory = CONVERGED.model_copy(update={"grants": (ACTIVE,)})
    known = remembering(legacy(provisioned(memory)), memory)

    extended = provisioned(known.model_copy(update={"grants": (longer,)}))

    assert kinds(extended) == ["Site Status", "Access Granted"]
    assert grants_of(news(extended)[1]) == longer.model_dump()


def test_a_failed_run_has_granted_nothing_and_the_next_one_tells_of_it() -> None:
    """The policy was put back, or never put: "granted" in the audit would be a lie, and missing later."""
    memory = CONVERGED.model_copy(update={"grants": (ACTIVE,)})
    failed = provisioned(memory, error=ERROR)
    left = legacy(failed)
    next_run = provisioned(remembering(left, memory))

    assert left.status is not None
    assert left.status.grants == ()
    assert kinds(failed) == ["Site Status"]
    assert kinds(next_run) == ["Site Status", "Access Granted"]


def test_a_failed_run_still_names_the_grants_that_were_there_before() -> None:
    """They are in the policy; and the next run doesn't tell of them again."""
    memory = CONVERGED.model_copy(update={"grants": (ACTIVE,)})
    known = remembering(legacy(provisioned(memory)), memory)
    failed = provisioned(known, error=ERROR)
    left = legacy(failed)

    assert left.status is not None
    assert left.status.grants == (ACTIVE,)
    assert kinds(failed) == ["Site Status"]
    assert kinds(provisioned(remembering(left, known))) == ["Site Status"]


@pytest.mark.parametrize("back", [True, False])
def test_a_released_site_grants_nothing(*, back: bool) -> None:
    """Its policy has lost the exceptions together with the lock: nobody may be told of access."""
    run = released(CONVERGED.model_copy(update={"grants": (ACTIVE,)}), back=back)
    left = legacy(run)

    assert left.status is not None
    assert left.status.grants == ()
    assert kinds(run) == ["Site Status"]


@pytest.mark.parametrize("status", ["not JSON", "{}", '{"state": "of a newer version", "intent": "x"}'])
def test_a_status_that_cannot_be_read_holds_nobody_up(status: str) -> None:
    """Another version of the product wrote it, or a person: the lease must go back all the same."""
    memory = CONVERGED.model_copy(update={"status": status, "grants": (ACTIVE,)})

    assert kinds(provisioned(memory)) == ["Site Status", "Access Granted"]
    assert kinds(a_run(memory, error=ERROR)) == ["Site Status"]


def test_what_is_said_is_the_same_text_each_time() -> None:
    """It is compared as a text: another order would be news."""
    status = SiteStatus(state="enforced", intent="provisioned", grants=(ACTIVE,), left=("x",))

    assert SiteStatus.model_validate_json(status.to_json()) == status
    assert SiteStatus.model_validate_json(status.to_json()).to_json() == status.to_json()


def put(count: int, *failed: int) -> list[int]:
    """Send events, and return in what portions EventBridge got them."""
    client = boto3.client("events")
    portions = [min(10, count - first) for first in range(0, count, 10)]
    told = [Event(kind="Site Status", detail={**ABOUT, "number": number}) for number in range(count)]
    with Stubber(client) as stub:
        for index, portion in enumerate(portions):
            entries = [
                {
                    "Source": "vbr-privatelink",
                    "DetailType": "Site Status",
                    "Detail": json.dumps(event.detail),
                }
                for event in told[index * 10 : index * 10 + portion]
            ]
            stub.add_response(
                "put_events",
                {"FailedEntryCount": failed[index] if index < len(failed) else 0},
                {"Entries": entries},
            )
        EventBridgeEvents(client).put(told)
        stub.assert_no_pending_responses()
    return portions


@pytest.mark.parametrize(
    ("count", "portions"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])]
)
def test_events_are_sent_ten_at_a_time(count: int, portions: list[int]) -> None:
    """EventBridge refuses eleven as a whole, and an empty request as well."""
    assert put(count) == portions


@pytest.mark.parametrize("failed", [(1,), (0, 2)])
def test_an_event_that_was_not_taken_is_an_error_worth_a_retry(failed: tuple[int, ...]) -> None:
    """EventBridge says it in a successful answer: unread, the news would be lost."""
    with pytest.raises(AwsUnavailableError, match="events were not taken"):
        put(12, *failed)


def test_a_hub_is_told_how_the_site_is_even_if_nothing_changed() -> None:
    """It keeps the last word of each site: silence would look like a site that is gone."""
    full, pending = provisioned(), provisioned()
    pending = pending.model_copy(update={"lease": pending.lease.model_copy(update={"purpose": "pending"})})
    checking = a_run(repair=False)

    told = [events(run, legacy(run), tell_unchanged=True) for run in (full, pending, checking)]

    assert [[event.kind for event in each] for each in told] == [["Site Status"], [], []]
    assert told[0][0].detail["state"] == "enforced"
