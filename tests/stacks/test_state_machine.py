"""The workflow as it would be deployed: what fails is retried, undone and told, and the lease goes back."""

import importlib
import itertools
from typing import Any, get_args

import pytest

from lambdas.core.errors import StepError, TransientError
from stacks.constructs.step_function_lambda import PLATFORM_ERRORS
from tests.stacks.synthesized import OF_THE_HUB, ROOT, Synthesized

RELEASE = "ReleaseLease"
# What a failure of each task leads to before the lease is released, in this order.
UNDONE = {
    "ResolveRequest": [],
    "EnsureBucket": [],
    "EnsureEndpoint": ["UndoProvisioning"],
    "CheckEndpoint": ["UndoProvisioning"],
    "ReadAdoption": ["UndoProvisioning"],
    "AttachBucketPolicy": ["RestoreBucketPolicy", "UndoProvisioning"],
    "ProveLockdown": ["RestoreBucketPolicy", "UndoProvisioning"],
    "PublishEndpoint": ["RestoreBucketPolicy", "UndoProvisioning"],
    # Behind the publication nothing is undone: servers rely on it.
    "RetireEndpoints": [],
    # Nor is a release: the next run goes on with it.
    "ResolveRelease": [],
    "DetachBucketPolicy": [],
    "WithdrawEndpoint": [],
    "ReadReversion": [],
    "RemoveEndpoints": [],
    "RestoreBucketPolicy": ["UndoProvisioning"],
    "UndoProvisioning": [],
}
UNDOING = {"RestoreBucketPolicy", "UndoProvisioning"}
# What a run that works does, one state after the other.
START = ["AcquireLease", "WhatShouldBe"]
END = ["ReleaseLease", "Outcome", "Done"]
PROVISION = [
    "ResolveRequest",
    "EnsureBucket",
    "EnsureEndpoint",
    "IsThereAnEndpoint",
    "CheckEndpoint",
    "ReadAdoption",
    "AttachBucketPolicy",
    "AnythingToProve",
    "ProveLockdown",
    "PublishEndpoint",
    "AnythingToRetire",
]
RELEASE_SITE = ["ResolveRelease", "DetachBucketPolicy", "WithdrawEndpoint", "ReadReversion", "AreAllBack"]
# Tasks that change something outside the lease's own item, whatever they are told; the others that could
# are told whether to repair.
CHANGING = {
    "DetachBucketPolicy",
    "RemoveEndpoints",
    "RestoreBucketPolicy",
    "RetireEndpoints",
    "UndoProvisioning",
    "WithdrawEndpoint",
}
TOLD_WHETHER_TO_REPAIR = {"AttachBucketPolicy", "EnsureBucket", "EnsureEndpoint", "PublishEndpoint"}
LOOKING = {
    "CheckEndpoint",
    "ProveLockdown",
    "ReadAdoption",
    "ReadReversion",
    "ResolveRelease",
    "ResolveRequest",
}


def subclasses(root: type[StepError]) -> set[str]:
    return {root.__name__}.union(*(subclasses(child) for child in root.__subclasses__()))


def caught(state: dict[str, Any]) -> dict[str, Any]:
    """Return the catcher for everything, the last one, as Step Functions demands."""
    catcher: dict[str, Any] = state["Catch"][-1]
    assert catcher["ErrorEquals"] == ["States.ALL"]
    return catcher


def value_at(path: str, data: Any) -> tuple[bool, Any]:
    """Look a reference path up; say whether there is anything."""
    for part in path.removeprefix("$.").replace("[", ".").replace("]", "").split("."):
        try:
            data = data[int(part) if isinstance(data, list) else part]
        except (KeyError, IndexError):
            return False, None
    return True, data


def holds(rule: dict[str, Any], data: dict[str, Any]) -> bool:
    """Decide a rule of a Choice; one of a kind that is not known here is an error."""
    if "And" in rule:
        return all(holds(part, data) for part in rule["And"])
    (operator,) = set(rule) - {"Variable", "Next"}
    there, value = value_at(rule["Variable"], data)
    match operator:
        case "IsPresent":
            return there is rule[operator]
        case "IsNull":
            assert there, f"{rule['Variable']} is not there: Step Functions would fail the run"
            return (value is None) is rule[operator]
        case "BooleanEquals" | "StringEquals":
            assert there, f"{rule['Variable']} is not there: Step Functions would fail the run"
            return type(value) is type(rule[operator]) and value == rule[operator]
        case _:
            raise AssertionError(f"a rule that this reader doesn't know: {rule}")


def way_of(
    synthesized: Synthesized, *, lease: dict[str, Any], results: dict[str, Any] | None = None
) -> list[str]:
    """Walk through the machine as a run does in which every task works, with these results."""
    results = {
        "EnsureBucket": {"enforced": [], "pending": []},
        "EnsureEndpoint": {"vpc_endpoint_id": "vpce-1"},
        "ReadAdoption": {"retire": False},
        "AttachBucketPolicy": {"buckets": []},
        "ReadReversion": {"back": True},
        **(results or {}),
    }
    data: dict[str, Any] = {
        "lease": {"outcome": "acquired", "intent": "provisioned", "repair": True, **lease}
    }
    name, way = synthesized.definition["StartAt"], []
    while True:
        state = synthesized.states[name]
        way.append(name)
        match state["Type"]:
            case "Task":
                if name != "AcquireLease":
                    data[state["ResultPath"].removeprefix("$.")] = results.get(name, {})
                name = state["Next"]
            case "Choice":
                chosen = [rule["Next"] for rule in state["Choices"] if holds(rule, data)]
                name = [*chosen, state["Default"]][0]
            case "Pass":
                data[state["ResultPath"].removeprefix("$.")] = state["Parameters"]
                name = state["Next"]
            case _:
                assert state["Type"] in ("Succeed", "Fail"), name
                return way


def onward(state: dict[str, Any]) -> list[str]:
    """Name every state that can come next."""
    return [
        name
        for name in (
            state.get("Next"),
            state.get("Default"),
            *(choice["Next"] for choice in state.get("Choices", [])),
            *(catcher["Next"] for catcher in state.get("Catch", [])),
        )
        if name is not None
    ]


def paths(states: dict[str, dict[str, Any]], start: str, walked: tuple[str, ...] = ()) -> list[list[str]]:
    """List every way from a state to an end."""
    assert start not in walked, f"a circle at {start}: a run could go round for ever"
    following = onward(states[start])
    if not following:
        return [[*walked, start]]
    return [path for name in following for path in paths(states, name, (*walked, start))]


def test_every_task_is_retried_with_jitter_and_a_longest_delay(synthesized: Synthesized) -> None:
    """Without jitter a hundred waiting runs come back in the same second."""
    for name, task in synthesized.tasks.items():
        assert task["Retry"], name
        for rule in task["Retry"]:
            assert rule["JitterStrategy"] == "FULL", name
            assert rule["MaxDelaySeconds"] >= rule["IntervalSeconds"], name
            assert rule["MaxAttempts"] > 0, name
            assert rule["BackoffRate"] > 1, name


def test_retried_are_the_transient_errors_and_the_platforms_own(synthesized: Synthesized) -> None:
    """Step Functions compares names: a missing one is never retried, a permanent one for nothing."""
    expected = sorted([*subclasses(TransientError), *PLATFORM_ERRORS])

    for name, task in synthesized.tasks.items():
        retried = [error for rule in task["Retry"] for error in rule["ErrorEquals"]]
        assert sorted(retried) == expected, name


def test_the_platforms_own_errors_are_the_ones_that_aws_names() -> None:
    """CDK's own list lacks throttling; whoever extends this one has to say so here."""
    assert set(PLATFORM_ERRORS) == {
        "Lambda.AWSLambdaException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.SdkClientException",
        "Lambda.ServiceException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Sandbox.Timedout",
        "States.Timeout",
    }


def test_every_task_has_a_catch_for_everything_and_a_timeout(synthesized: Synthesized) -> None:
    """No run can fail without its reason being kept, and none can hang."""
    for name, task in synthesized.tasks.items():
        assert caught(task)["ResultPath"], name
        assert task["TimeoutSeconds"] >= 60, name


def test_every_state_is_reached(synthesized: Synthesized) -> None:
    """A state that nothing leads to is a step that was forgotten."""
    reached = {name for path in paths(synthesized.states, synthesized.definition["StartAt"]) for name in path}

    assert reached == set(synthesized.states)


def test_the_steps_come_in_the_order_of_the_design(synthesized: Synthesized) -> None:
    """Locking before the endpoint is ready, or publishing before the proof, would break backups."""
    assert way_of(synthesized, lease={}) == [*START, *PROVISION, *END]


def test_endpoints_are_retired_last_and_only_when_somebody_said_so(synthesized: Synthesized) -> None:
    """Behind the policy and the publication: until then somebody may be let in through them."""
    way = way_of(synthesized, lease={}, results={"ReadAdoption": {"retire": True}})

    assert way == [*START, *PROVISION, "RetireEndpoints", *END]


def test_a_release_takes_the_lock_off_first_and_deletes_the_endpoint_last(synthesized: Synthesized) -> None:
    """Servers go back to public endpoints, so the denial must be gone; they use ours until they are back."""
    way = way_of(synthesized, lease={"intent": "released"})

    assert way == [*START, *RELEASE_SITE, "RemoveEndpoints", *END]


def test_a_release_keeps_the_endpoint_until_all_are_back(synthesized: Synthesized) -> None:
    """It ends, and succeeds: the next report starts the next run."""
    way = way_of(synthesized, lease={"intent": "released"}, results={"ReadReversion": {"back": False}})

    assert way == [*START, *RELEASE_SITE, *END]


@pytest.mark.parametrize("intent", ["provisioned", "released"])
@pytest.mark.parametrize(("outcome", "end"), [("superseded", "Superseded"), ("idle", "NothingPending")])
def test_a_run_without_the_lease_does_nothing(
    synthesized: Synthesized, outcome: str, end: str, intent: str
) -> None:
    """Another run works, or nothing waits: whatever the site should be, this run isn't the one."""
    assert way_of(synthesized, lease={"outcome": outcome, "intent": intent}) == [*START, end]


def test_a_superseded_run_knows_no_intent(synthesized: Synthesized) -> None:
    """It has not looked; the machine must not ask."""
    assert way_of(synthesized, lease={"outcome": "superseded", "intent": None}) == [*START, "Superseded"]


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize("intent", ["deleted", "Provisioned", ""])
def test_a_site_with_an_unknown_intent_is_left_alone(
    synthesized: Synthesized, intent: str, *, repair: bool
) -> None:
    """A newer version stored it."""
    way = way_of(synthesized, lease={"intent": intent, "repair": repair})

    assert way == [*START, "UnknownIntent", "ReleaseLease", "Outcome", "Failed"]


EVERYTHING_TO_DO = [
    dict(zip(("EnsureEndpoint", "ReadAdoption", "AttachBucketPolicy", "ReadReversion"), results, strict=True))
    for results in itertools.product(
        ({"vpc_endpoint_id": "vpce-1"}, {"vpc_endpoint_id": None}),
        ({"retire": True}, {"retire": False}),
        ({"buckets": ["backups"]}, {"buckets": []}),
        ({"back": True}, {"back": False}),
    )
]


@pytest.mark.parametrize("intent", ["provisioned", "released"])
def test_a_run_that_only_checks_reaches_nothing_that_changes_something(
    synthesized: Synthesized, intent: str
) -> None:
    """Whatever it finds: a person has asked a question, and must not get an answer that does something."""
    ways = [
        way_of(synthesized, lease={"intent": intent, "repair": False}, results=results)
        for results in EVERYTHING_TO_DO
    ]

    for way in ways:
        assert not CHANGING & set(way), way
        assert way[-len(END) :] == END
    # And the same results make a run that repairs change something.
    assert any(
        CHANGING & set(way_of(synthesized, lease={"intent": intent}, results=results))
        for results in EVERYTHING_TO_DO
    )


def test_every_other_step_that_could_change_something_is_told_whether_to(synthesized: Synthesized) -> None:
    """By the lease alone: no step decides for itself that it repairs."""
    assert set(synthesized.tasks) == CHANGING | TOLD_WHETHER_TO_REPAIR | LOOKING | {"AcquireLease", RELEASE}
    for name in TOLD_WHETHER_TO_REPAIR:
        assert synthesized.tasks[name]["Parameters"]["repair.$"] == "$.lease.repair", name


def test_what_a_failed_check_undoes_is_only_its_own(synthesized: Synthesized) -> None:
    """An undo is given the run and nothing of what was found: a run that changed nothing undoes nothing."""
    for name in UNDOING:
        parameters = dict(synthesized.tasks[name]["Parameters"])
        parameters.pop("action", None)
        assert parameters == {"site.$": "$.lease.site", "execution.$": "$$.Execution.Id"}, name


def test_a_check_proves_a_lock_that_is_as_it_should_be_and_no_other(synthesized: Synthesized) -> None:
    """Where the policy is wrong, a failed proof would only hide what is wrong with it."""
    right = way_of(synthesized, lease={"repair": False})
    wrong = way_of(
        synthesized, lease={"repair": False}, results={"AttachBucketPolicy": {"buckets": ["backups"]}}
    )

    assert "ProveLockdown" in right
    assert "ProveLockdown" not in wrong
    assert "PublishEndpoint" in wrong


def test_a_check_of_a_site_without_an_endpoint_ends_there(synthesized: Synthesized) -> None:
    """It has said that there is none; every later step would need one."""
    way = way_of(synthesized, lease={"repair": False}, results={"EnsureEndpoint": {"vpc_endpoint_id": None}})

    assert way == [*START, *PROVISION[: PROVISION.index("CheckEndpoint")], *END]


def test_a_check_of_a_released_site_has_nothing_to_look_at(synthesized: Synthesized) -> None:
    """What a release would still do is in the status already."""
    assert way_of(synthesized, lease={"intent": "released", "repair": False}) == [*START, *END]


def test_every_path_after_the_lease_releases_it(synthesized: Synthesized) -> None:
    """A lease that stays behind keeps the site from working until somebody finds out."""
    everything = paths(synthesized.states, synthesized.definition["StartAt"])
    without = {path[-1] for path in everything if RELEASE not in path}

    assert len(everything) > 10
    # None of them has the lease: refused, another run is at work, or nothing waits.
    assert without == {"Refused", "Superseded", "NothingPending"}
    assert all(path[-3:][0] == RELEASE or path[-2] == "Outcome" for path in everything if RELEASE in path)


def test_a_failure_is_undone_as_far_as_the_run_had_come(synthesized: Synthesized) -> None:
    """Too little leaves an endpoint that costs money; too much takes away what an earlier run made."""
    for name, undone in UNDONE.items():
        following, walked = caught(synthesized.states[name])["Next"], []
        while following != RELEASE:
            walked.append(following)
            following = synthesized.states[following]["Next"]
        assert walked == undone, name

    assert len(UNDONE) > 10
    assert set(UNDONE) == set(synthesized.tasks) - {"AcquireLease", RELEASE}


def test_only_who_has_lost_the_lease_is_caught_otherwise(synthesized: Synthesized) -> None:
    """Another run holds the site: undoing now would take away what it relies on."""
    special = {name: task["Catch"][:-1] for name, task in synthesized.tasks.items() if len(task["Catch"]) > 1}

    assert special == {
        "AttachBucketPolicy": [{"ErrorEquals": ["LeaseLostError"], "ResultPath": "$.error", "Next": RELEASE}]
    }


def test_the_first_error_is_kept(synthesized: Synthesized) -> None:
    """An undo that fails as well must not hide why the run failed."""
    for name in UNDONE:
        place = caught(synthesized.states[name])["ResultPath"]
        assert place == ("$.undo_error" if name in UNDOING else "$.error"), name
    assert caught(synthesized.states[RELEASE]) == {
        "ErrorEquals": ["States.ALL"],
        "ResultPath": "$.release_error",
        "Next": "Outcome",
    }


def test_no_step_overwrites_an_error_or_what_another_step_needs(synthesized: Synthesized) -> None:
    """Results are put beside each other: an overwritten one is missing where somebody looks for it."""
    tasks = {name: task for name, task in synthesized.tasks.items() if name != "AcquireLease"}
    assert not {"$", "$.error", "$.lease"} & {task["ResultPath"] for task in tasks.values()}
    # A release and a provisioning may use the same words: no run does both.
    for path in paths(synthesized.states, synthesized.definition["StartAt"]):
        places = [tasks[name]["ResultPath"] for name in path if name in tasks]
        assert len(set(places)) == len(places), path


def test_a_failed_run_carries_its_first_error(synthesized: Synthesized) -> None:
    """It is what the console shows and what the mail quotes."""
    refused, failed = synthesized.states["Refused"], synthesized.states["Failed"]

    assert refused == {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"}
    assert failed == {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"}
    assert caught(synthesized.states["AcquireLease"]) == {
        "ErrorEquals": ["States.ALL"],
        "ResultPath": "$",
        "Next": "Refused",
    }


def test_a_run_without_an_error_succeeds(synthesized: Synthesized) -> None:
    """And only such a run."""
    outcome = synthesized.states["Outcome"]

    assert outcome["Choices"] == [{"Variable": "$.error", "IsPresent": True, "Next": "Failed"}]
    assert outcome["Default"] == "Done"
    assert synthesized.states["Done"]["Type"] == "Succeed"


def test_an_unknown_intent_leaves_the_site_alone_and_fails(synthesized: Synthesized) -> None:
    """A newer version stored it: an older one that provisions all the same could undo a release."""
    choice, unknown = synthesized.states["WhatShouldBe"], synthesized.states["UnknownIntent"]

    assert choice["Default"] == "UnknownIntent"
    assert unknown["ResultPath"] == "$.error"
    assert set(unknown["Parameters"]) == {"Error", "Cause.$"}
    assert unknown["Next"] == RELEASE


def test_each_task_calls_its_function(synthesized: Synthesized) -> None:
    """A task that calls another step's function would pass every other test here."""
    called = {name: synthesized.step_of(name) for name in synthesized.tasks}
    otherwise_named = {
        "DetachBucketPolicy": "attach_bucket_policy",
        "ReadReversion": "read_adoption",
        "ResolveRelease": "resolve_request",
        "RestoreBucketPolicy": "attach_bucket_policy",
        "RetireEndpoints": "remove_endpoints",
        "WithdrawEndpoint": "publish_endpoint",
    }

    assert {name: called.pop(name) for name in otherwise_named} == otherwise_named
    assert {name: step.replace("_", "") for name, step in called.items()} == {
        name: name.lower() for name in called
    }


def test_each_task_sends_what_its_door_accepts(synthesized: Synthesized) -> None:
    """A field too many is refused at run time, one too few as well: here it is found before."""
    models = {
        "AcquireLease": "LeaseRequest",
        "AttachBucketPolicy": "AttachRequest",
        "CheckEndpoint": "CheckEndpointRequest",
        "DetachBucketPolicy": "DetachRequest",
        "EnsureBucket": "EnsureBucketRequest",
        "EnsureEndpoint": "EnsureEndpointRequest",
        "ProveLockdown": "ProveRequest",
        "PublishEndpoint": "PublishRequest",
        "ReadAdoption": "AdoptionRequest",
        "ReadReversion": "ReversionRequest",
        "ReleaseLease": "ReleaseRequest",
        "RemoveEndpoints": "RemoveRequest",
        "ResolveRelease": "ResolveRequest",
        "ResolveRequest": "ResolveRequest",
        "RestoreBucketPolicy": "RestoreRequest",
        "RetireEndpoints": "RemoveRequest",
        "UndoProvisioning": "UndoRequest",
        "WithdrawEndpoint": "WithdrawRequest",
    }
    assert set(models) == set(synthesized.tasks)
    for name, task in synthesized.tasks.items():
        handler = importlib.import_module(f"lambdas.{synthesized.step_of(name)}.handler")
        sent = {field.removesuffix(".$") for field in task["Parameters"]}
        model = getattr(handler, models[name])
        assert sent == set(model.model_fields), name
        # What the machine itself writes down must be the word that the door knows.
        for field in ("action", "about"):
            if field in model.model_fields:
                assert task["Parameters"][field] in get_args(model.model_fields[field].annotation), name


def test_each_task_is_sent_what_an_earlier_one_has_returned(synthesized: Synthesized) -> None:
    """A path that leads nowhere fails the run, past every Catch of the steps before it."""
    for path in paths(synthesized.states, synthesized.definition["StartAt"]):
        there = {"$$.Execution.Id", "$"}
        for name in path:
            state = synthesized.states[name]
            for field, value in state.get("Parameters", {}).items() if state["Type"] == "Task" else ():
                if field.endswith(".$"):
                    root = ".".join(value.split(".")[:2]) if value.startswith("$.") else value
                    assert root in there, f"{name} is sent {value}, after {path}"
            there.add("$.lease" if name == "AcquireLease" else state.get("ResultPath", ""))


def test_a_release_deletes_everything_and_a_replacement_keeps_what_is_let_in(
    synthesized: Synthesized,
) -> None:
    """The same function twice: with the other one's list it would delete the endpoint in use."""
    assert synthesized.tasks["RemoveEndpoints"]["Parameters"]["keep"] == []
    assert synthesized.tasks["RetireEndpoints"]["Parameters"]["keep.$"] == "$.adoption.let_in"
    assert synthesized.tasks["AttachBucketPolicy"]["Parameters"]["let_in.$"] == "$.adoption.let_in"


def test_what_is_locked_is_what_the_reports_allow_and_that_is_proven(synthesized: Synthesized) -> None:
    """Straight from the bucket step, a bucket in use would be locked before its servers have moved."""
    for name in ("AttachBucketPolicy", "ProveLockdown"):
        assert synthesized.tasks[name]["Parameters"]["buckets.$"] == "$.adoption.enforce"


def test_the_time_limit_of_a_run_is_longer_than_its_patience(synthesized: Synthesized) -> None:
    """A run that times out skips every Catch: nothing is undone and the lease stays."""
    waits = {
        "AcquireLease": "LeaseHeldError",
        "CheckEndpoint": "EndpointPendingError",
        "ProveLockdown": "LockdownNotEffectiveError",
        "RemoveEndpoints": "GroupInUseError",
        "RetireEndpoints": "GroupInUseError",
        "UndoProvisioning": "GroupInUseError",
    }
    longest = sum(
        rule["MaxAttempts"] * rule["MaxDelaySeconds"]
        for name, error in waits.items()
        for rule in synthesized.tasks[name]["Retry"]
        if error in rule["ErrorEquals"]
    )

    assert 60 * 60 < longest < synthesized.definition["TimeoutSeconds"] / 2


def test_every_step_is_in_the_workflow(synthesized: Synthesized) -> None:
    """A folder that no task calls is dead code; one that is missing is a crash."""
    folders = {path.parent.name for path in (ROOT / "lambdas").glob("*/handler.py")} - OF_THE_HUB
    # What the console calls, and what counts for the alarms, works beside it.
    beside = {"show_sites", "start_run", "watch_servers"}

    assert beside < folders
    assert {synthesized.step_of(name) for name in synthesized.tasks} == folders - beside
