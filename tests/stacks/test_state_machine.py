"""The workflow as it would be deployed: what fails is retried, undone and told, and the lease goes back."""

import importlib
from typing import Any

import pytest

from lambdas.core.errors import StepError, TransientError
from stacks.constructs.step_function_lambda import PLATFORM_ERRORS
from tests.stacks.synthesized import ROOT, Synthesized

pytestmark = pytest.mark.xdist_group("synth")

RELEASE = "ReleaseLease"
# What a failure of each task leads to before the lease is released, in this order.
UNDONE = {
    "ResolveRequest": [],
    "EnsureBucket": [],
    "EnsureEndpoint": ["UndoProvisioning"],
    "CheckEndpoint": ["UndoProvisioning"],
    "AttachBucketPolicy": ["RestoreBucketPolicy", "UndoProvisioning"],
    "ProveLockdown": ["RestoreBucketPolicy", "UndoProvisioning"],
    "PublishEndpoint": ["RestoreBucketPolicy", "UndoProvisioning"],
    "RestoreBucketPolicy": ["UndoProvisioning"],
    "UndoProvisioning": [],
}
ORDER = [
    "AcquireLease",
    "WhatShouldBe",
    "ResolveRequest",
    "EnsureBucket",
    "EnsureEndpoint",
    "CheckEndpoint",
    "AttachBucketPolicy",
    "ProveLockdown",
    "PublishEndpoint",
    "ReleaseLease",
    "Outcome",
]


def subclasses(root: type[StepError]) -> set[str]:
    return {root.__name__}.union(*(subclasses(child) for child in root.__subclasses__()))


def caught(state: dict[str, Any]) -> dict[str, Any]:
    (catcher,) = state["Catch"]
    assert catcher["ErrorEquals"] == ["States.ALL"]
    found: dict[str, Any] = catcher
    return found


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
    way, state = [], synthesized.definition["StartAt"]
    while True:
        way.append(state)
        following = onward({key: value for key, value in synthesized.states[state].items() if key != "Catch"})
        forward = [name for name in following if name in ORDER and name not in way]
        if not forward:
            break
        (state,) = forward

    assert way == ORDER


def test_every_path_after_the_lease_releases_it(synthesized: Synthesized) -> None:
    """A lease that stays behind keeps the site from working until somebody finds out."""
    everything = paths(synthesized.states, synthesized.definition["StartAt"])
    without = {path[-1] for path in everything if RELEASE not in path}

    assert len(everything) > 10
    # Neither of them has the lease: the first was refused, the second found another run at work.
    assert without == {"Refused", "Superseded"}
    assert all(path[-3:][0] == RELEASE or path[-2] == "Outcome" for path in everything if RELEASE in path)


def test_a_failure_is_undone_as_far_as_the_run_had_come(synthesized: Synthesized) -> None:
    """Too little leaves an endpoint that costs money; too much takes away what an earlier run made."""
    for name, undone in UNDONE.items():
        following, walked = caught(synthesized.states[name])["Next"], []
        while following != RELEASE:
            walked.append(following)
            following = synthesized.states[following]["Next"]
        assert walked == undone, name

    assert set(UNDONE) == set(synthesized.tasks) - {"AcquireLease", RELEASE}


def test_the_first_error_is_kept(synthesized: Synthesized) -> None:
    """An undo that fails as well must not hide why the run failed."""
    for name in UNDONE:
        place = caught(synthesized.states[name])["ResultPath"]
        is_undo = name in ("RestoreBucketPolicy", "UndoProvisioning")
        assert place == ("$.undo_error" if is_undo else "$.error"), name
    assert caught(synthesized.states[RELEASE]) == {
        "ErrorEquals": ["States.ALL"],
        "ResultPath": "$.release_error",
        "Next": "Outcome",
    }


def test_no_step_overwrites_an_error_or_what_another_step_needs(synthesized: Synthesized) -> None:
    """Results are put beside each other: an overwritten one is missing where somebody looks for it."""
    places = [task["ResultPath"] for name, task in synthesized.tasks.items() if name != "AcquireLease"]

    assert len(set(places)) == len(places)
    assert not {"$", "$.error", "$.lease"} & set(places)


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

    assert called.pop("RestoreBucketPolicy") == "attach_bucket_policy"
    assert {name: step.replace("_", "") for name, step in called.items()} == {
        name: name.lower() for name in called
    }


def test_each_task_sends_what_its_door_accepts(synthesized: Synthesized) -> None:
    """A field too many is refused at run time, one too few as well: here it is found before."""
    models = {
        "AcquireLease": "LeaseRequest",
        "AttachBucketPolicy": "AttachRequest",
        "CheckEndpoint": "CheckEndpointRequest",
        "EnsureBucket": "EnsureBucketRequest",
        "EnsureEndpoint": "EnsureEndpointRequest",
        "ProveLockdown": "ProveRequest",
        "PublishEndpoint": "PublishRequest",
        "ReleaseLease": "ReleaseRequest",
        "ResolveRequest": "ResolveRequest",
        "RestoreBucketPolicy": "RestoreRequest",
        "UndoProvisioning": "UndoRequest",
    }
    assert set(models) == set(synthesized.tasks)
    for name, task in synthesized.tasks.items():
        handler = importlib.import_module(f"lambdas.{synthesized.step_of(name)}.handler")
        sent = {field.removesuffix(".$") for field in task["Parameters"]}
        assert sent == set(getattr(handler, models[name]).model_fields), name


def test_the_time_limit_of_a_run_is_longer_than_its_patience(synthesized: Synthesized) -> None:
    """A run that times out skips every Catch: nothing is undone and the lease stays."""
    waits = {
        "AcquireLease": "LeaseHeldError",
        "CheckEndpoint": "EndpointPendingError",
        "ProveLockdown": "LockdownNotEffectiveError",
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
    folders = {path.parent.name for path in (ROOT / "lambdas").glob("*/handler.py")}

    assert folders
    assert {synthesized.step_of(name) for name in synthesized.tasks} == folders
