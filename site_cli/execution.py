"""
Start the workflow, follow an execution, and read what came of it.

The history of an execution is the only source: whoever watches somebody else's run sees the same as who
has started it.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from site_cli.account import Account
from site_cli.errors import NotDeployedError, RunFailedError, SiteCliError

POLL_SECONDS = 1.0

# What each state of the workflow does, for people who watch it; a test keeps the names equal.
STATES = {
    "AcquireLease": "take the site's lease",
    "ResolveRequest": "read the settings, find the VPC and its subnets",
    "EnsureBucket": "the bucket",
    "EnsureEndpoint": "the security group and the interface endpoint",
    "CheckEndpoint": "wait until the endpoint is available",
    "ReadAdoption": "what the backup servers have reported",
    "AttachBucketPolicy": "the bucket policy that lets only the endpoint in",
    "ProveLockdown": "prove that an upload from elsewhere is refused",
    "PublishEndpoint": "publish the endpoint for the backup servers",
    "RetireEndpoints": "remove an endpoint that nobody uses any more",
    "ResolveRelease": "read the settings",
    "DetachBucketPolicy": "take the bucket policy's statements off",
    "WithdrawEndpoint": "tell the backup servers to go back",
    "ReadReversion": "which backup servers have gone back",
    "RemoveEndpoints": "remove the endpoint and its security group",
    "RestoreBucketPolicy": "put the earlier bucket policy back",
    "UndoProvisioning": "take back what this run has made",
    "ReleaseLease": "write down what is so, give the lease back",
}


@dataclass(slots=True, kw_only=True)
class Step:
    """
    One state that the execution has entered.

    `attempts` counts calls of its function; `waits_for` is the error of the last one that is retried.
    """

    state: str
    began: datetime
    ended: datetime | None = None
    attempts: int = 0
    waits_for: str | None = None
    failed: bool = False

    @property
    def seconds(self) -> float | None:
        """How long it took, once it is over."""
        return None if self.ended is None else (self.ended - self.began).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What a run has made of the site, in the words of its own output.

    `state` is the site's, such as "enforced" or "release pending", or why the run wasn't needed; `changed`
    has one line for each thing; `drift` is what was not as it should be.
    """

    execution: str
    state: str
    changed: tuple[str, ...]
    drift: tuple[str, ...]
    waits_for: tuple[str, ...]
    why: str | None


class Watcher(Protocol):
    """Whoever shows how far the execution has come."""

    def update(self, steps: Sequence[Step]) -> None: ...


def start(account: Account, request: Mapping[str, object]) -> str:
    """Start the workflow with a request and return the execution's ARN."""
    try:
        answer = account.states.start_execution(
            stateMachineArn=account.state_machine_arn, input=json.dumps(request)
        )
    except account.states.exceptions.StateMachineDoesNotExist as error:
        raise NotDeployedError(account_id=account.account_id, region=account.region) from error
    return answer["executionArn"]


def follow(
    account: Account, execution: str, watcher: Watcher, *, sleep: Callable[[float], None] = time.sleep
) -> Outcome:
    """Watch until the execution has ended; raises RunFailedError with the workflow's own sentence."""
    while True:
        try:
            answer = account.states.describe_execution(executionArn=execution)
        except (
            account.states.exceptions.ExecutionDoesNotExist,
            account.states.exceptions.InvalidArn,
        ) as error:
            raise SiteCliError(
                f"there is no execution {execution}; an execution is kept for 90 days"
            ) from error
        # Asked for after the status, so that the history of an execution that has ended is whole.
        watcher.update(steps(_history(account, execution)))
        if answer["status"] != "RUNNING":
            break
        sleep(POLL_SECONDS)
    if answer["status"] != "SUCCEEDED":
        raise RunFailedError(failure(answer["status"], answer.get("error"), answer.get("cause")))
    return outcome(execution, json.loads(answer.get("output", "{}")))


def _history(account: Account, execution: str) -> list[Mapping[str, Any]]:
    pages = account.states.get_paginator("get_execution_history").paginate(
        executionArn=execution, includeExecutionData=False
    )
    return [event for page in pages for event in page["events"]]


def steps(history: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Read the states that call a function, in the order in which they were entered."""
    found: list[Step] = []
    for event in history:
        match event["type"]:
            case "TaskStateEntered":
                name = event["stateEnteredEventDetails"]["name"]
                found.append(Step(state=name, began=event["timestamp"]))
            case "LambdaFunctionScheduled" if found:
                found[-1].attempts += 1
            case "LambdaFunctionFailed" | "LambdaFunctionTimedOut" | "LambdaFunctionScheduleFailed" if found:
                details: list[Any] = [value for key, value in event.items() if key.endswith("EventDetails")]
                found[-1].waits_for = next((one["error"] for one in details if "error" in one), "an error")
                found[-1].failed = True
            case "LambdaFunctionSucceeded" if found:
                found[-1].failed = False
            case "TaskStateExited" if found:
                found[-1].ended = event["timestamp"]
            case _:
                pass
    return found


def failure(status: str, error: str | None, cause: str | None) -> str:
    """Say in one sentence why an execution has failed."""
    match status:
        case "ABORTED":
            return "somebody stopped the run; what it left is taken over by the next one: start it again"
        case "TIMED_OUT":
            return "the run timed out; what it left is taken over by the next one: start it again"
        case _:
            return f"{error or 'the run failed'}: {_sentence(cause or 'no reason was given')}"


def _sentence(cause: str) -> str:
    """Take the sentence out of what Lambda puts around it."""
    try:
        details = json.loads(cause)
    except ValueError:
        return cause
    return str(details.get("errorMessage", cause)) if isinstance(details, dict) else cause


def outcome(execution: str, output: Mapping[str, Any]) -> Outcome:
    """Read what a run that succeeded has left as its output."""
    lease = output.get("lease", {})
    if lease.get("outcome") in ("superseded", "idle"):
        why = {
            "superseded": "another run waits for the site already, and will do the same",
            "idle": "nothing waits, so there was nothing to do",
        }[lease["outcome"]]
        return Outcome(execution=execution, state="not needed", changed=(), drift=(), waits_for=(), why=why)
    end = output.get("end", {})
    status = end.get("status") or {}
    repairs = lease.get("repair", True)
    found = [_drift(one) for one in end.get("drift", [])]
    return Outcome(
        execution=execution,
        state=str(status.get("state", "unknown")) if repairs else _checked(found),
        changed=tuple(_changes(output)) if repairs else (),
        drift=tuple(found),
        waits_for=tuple(status.get("waits_for", ())),
        why=status.get("why"),
    )


def _checked(found: Sequence[str]) -> str:
    return "not as it should be" if found else "as it should be"


def _changes(output: Mapping[str, Any]) -> list[str]:
    """One line for each thing that the run has made, changed or removed."""
    lines = [f"created bucket {name}" for name in output.get("bucket", {}).get("created", ())]
    lines += [f"created {name}" for name in output.get("endpoint", {}).get("created", ())]
    lines += [
        f"repaired {_drift(one)}" for one in output.get("end", {}).get("drift", ()) if one.get("repaired")
    ]
    if output.get("policy", {}).get("changed"):
        lines += [f"locked bucket {name} to the endpoint" for name in output["policy"]["buckets"]]
    lines += [f"unlocked bucket {name}" for name in output.get("detachment", {}).get("buckets", ())]
    publication = output.get("publication", {})
    if publication.get("changed"):
        what = "withdrew the endpoint" if "detachment" in output else "published the endpoint"
        lines.append(f"{what} (version {publication['version']} of the parameter)")
    for part in ("retirement", "removal"):
        lines += [f"removed {name}" for name in output.get(part, {}).get("removed", ())]
    # A step that had to be tried again only says what its last try did.
    said = " ".join(lines)
    let_in = ((output.get("end", {}).get("status")) or {}).get("let_in", ())
    known = output.get("lease", {}).get("memory", {}).get("endpoints", ())
    return lines + [f"no longer used: {name}" for name in known if name not in let_in and name not in said]


def _drift(one: Mapping[str, Any]) -> str:
    text = f"{one['resource']}, {one['property']}: {one['found']} -> {one['wanted']}"
    return f"{text} ({one['why']})" if one.get("why") else text
