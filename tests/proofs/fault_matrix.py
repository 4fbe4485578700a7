"""
Every AWS call that a run makes, and every way in which it can go wrong.

The calls are those of a recorded run, so a new call is covered by itself. Each case lets one of them go
wrong once more and is judged by the outside world: the run has done everything, or it has failed cleanly
and the next run does everything. Anything between is a half state.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.aws.errors import ErrorAnswer
from sandbox.aws.faults import Dropped, Fault, OutOfTime, Refused, Strike
from tests.proofs.site_world import Sight, Start, World, is_one_sentence, sentence
from tests.stories.workflow import Run

_FUNCTION = "lambda:vbr-privatelink-"
_STATES = "states"
# How often boto3 sends one call before the step fails (lambdas/core/clients.py).
_ATTEMPTS = 4


class Trouble(StrEnum):
    """What goes wrong with a call; the first group passes, the second lasts."""

    THROTTLED = "throttled for a whole invocation"
    BROKEN = "5xx for a whole invocation"
    DROPPED = "the answer lost once"
    DROPPED_AGAIN = "the answer lost for a whole invocation"
    NOT_SEEN_YET = "not found right after create"
    BUSY = "AWS busy with another change"
    OUT_OF_TIME = "the function's time up"
    UNAVAILABLE = "unavailable for good"
    DENIED = "denied for good"

    @property
    def lasts(self) -> bool:
        """Whether no retry helps."""
        return self in (Trouble.UNAVAILABLE, Trouble.DENIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One call of a recorded run: the *number*-th of *operation* that *source* makes.

    `created` says what the run had created by then and the call names: a bucket, a group, an endpoint.
    """

    source: str
    operation: str
    number: int
    function: str | None
    readonly: bool
    created: str | None

    def __str__(self) -> str:
        who = self.source.removeprefix(_FUNCTION)
        about = f" {self.function.rsplit('-privatelink-', 1)[-1]}" if self.function else ""
        return f"{who} {self.operation}{about} #{self.number}"

    @property
    def service(self) -> str:
        """boto3's name of the service."""
        return self.operation.partition(":")[0]


_THROTTLING = {
    "s3": (503, "SlowDown"),
    "ec2": (503, "RequestLimitExceeded"),
    "lambda": (429, "TooManyRequestsException"),
}
_BREAKING = {"s3": (500, "InternalError"), "ec2": (500, "InternalError"), "lambda": (500, "ServiceException")}
_ABSENCE = {
    "s3": (503, "ServiceUnavailable"),
    "ec2": (503, "Unavailable"),
    "lambda": (503, "ServiceException"),
}
_REFUSAL = {
    "s3": (403, "AccessDenied"),
    "ec2": (403, "UnauthorizedOperation"),
    "lambda": (403, "AccessDeniedException"),
}
# What a service says while it is at work on another change of the same thing; the others have no such answer.
_BUSY = {
    "s3": (409, "OperationAborted"),
    "dynamodb": (400, "TransactionConflictException"),
    "ssm:PutParameter": (400, "TooManyUpdates"),
    "ec2:DeleteSecurityGroup": (400, "DependencyViolation"),
}
_CREATE = {
    "s3:CreateBucket": "bucket",
    "ec2:CreateSecurityGroup": "group",
    "ec2:CreateVpcEndpoint": "endpoint",
}
_NOT_FOUND = {
    "bucket": (404, "NoSuchBucket"),
    "group": (400, "InvalidGroup.NotFound"),
    "endpoint": (400, "InvalidVpcEndpointId.NotFound"),
    "interface": (400, "InvalidNetworkInterfaceID.NotFound"),
}


def fault(call: Call, trouble: Trouble) -> tuple[Fault, int | None] | None:
    """Return the fault and how often it strikes; None where AWS has no such answer to the call."""
    match trouble:
        case Trouble.THROTTLED:
            answer = _THROTTLING.get(call.service, (400, "ThrottlingException"))
            return _refused(answer, "Rate exceeded"), _one_invocation(call)
        case Trouble.BROKEN:
            answer = _BREAKING.get(call.service, (500, "InternalServerError"))
            return _refused(answer, "An internal error occurred"), _one_invocation(call)
        case Trouble.DROPPED:
            return Dropped(), 1
        case Trouble.DROPPED_AGAIN:
            return None if call.readonly or call.source == _STATES else (Dropped(), _ATTEMPTS)
        case Trouble.NOT_SEEN_YET:
            if call.created is None:
                return None
            return _refused(_NOT_FOUND[call.created], "It does not exist"), 1
        case Trouble.BUSY:
            found = _BUSY.get(call.operation) or _BUSY.get(call.service)
            return None if found is None or call.readonly else (_refused(found, "Try again"), 1)
        case Trouble.OUT_OF_TIME:
            return None if call.source == _STATES else (OutOfTime(), 1)
        case Trouble.UNAVAILABLE:
            return _refused(_ABSENCE.get(call.service, (503, "ServiceUnavailable")), "Try again later"), None
        case Trouble.DENIED:
            answer = _REFUSAL.get(call.service, (400, "AccessDeniedException"))
            return _refused(answer, "You are not authorized to perform this operation."), None


def _refused(answer: tuple[int, str], message: str) -> Refused:
    status, code = answer
    return Refused(answer=ErrorAnswer(status=status, code=code, message=message))


def _one_invocation(call: Call) -> int:
    # The state machine's own calls are sent once; its Retry is what repeats them.
    return 1 if call.source == _STATES else _ATTEMPTS


def recorded(lines: Sequence[Mapping[str, Any]]) -> list[Call]:
    """Return the calls that the workflow and its functions have made."""
    numbers: Counter[tuple[str, str, str | None]] = Counter()
    created: dict[str, str] = {}
    calls = []
    for line in lines:
        if line["source"] != _STATES and not line["source"].startswith(_FUNCTION):
            continue
        operation = f"{line['service']}:{line['action']}"
        parameters = line["parameters"]
        function = str(parameters["FunctionName"]) if operation == "lambda:Invoke" else None
        numbers[line["source"], operation, function] += 1
        named = _named(operation, parameters, created)
        calls.append(
            Call(
                source=line["source"],
                operation=operation,
                number=numbers[line["source"], operation, function],
                function=function,
                readonly=bool(line["readonly"]),
                created=named,
            )
        )
        if operation in _CREATE and line["status"] < 300:
            created[operation] = _CREATE[operation]
    return calls


def _named(operation: str, parameters: Mapping[str, Any], created: Mapping[str, str]) -> str | None:
    """Say what of the things that were created the call names by id or name."""
    if operation.startswith("s3:"):
        return "bucket" if "s3:CreateBucket" in created and operation != "s3:CreateBucket" else None
    for names, kind, by in (
        (("VpcEndpointIds", "VpcEndpointId"), "endpoint", "ec2:CreateVpcEndpoint"),
        (("GroupId", "GroupIds", "SecurityGroupIds"), "group", "ec2:CreateSecurityGroup"),
        (("NetworkInterfaceIds",), "interface", "ec2:CreateVpcEndpoint"),
    ):
        # What is deleted has been seen before: nobody deletes what he has not found.
        if by in created and any(name in parameters for name in names) and ":Delete" not in operation:
            return kind
    return None


class Verdict(StrEnum):
    """How a case has ended."""

    SUCCEEDED = "succeeded after retries"
    FAILED = "failed cleanly"
    COMMITTED = "failed behind the commit point"
    NEXT_RUN = "left to the next run"
    HALF = "HALF STATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """
    A run, from *start*; `then` is what the next run is asked for.

    `goes_on`: the run isn't undone; the next one goes on, so it may have come some part of its way.
    `broken`: a step that always fails, so that the undo is what is looked at; the calls behind it are
    struck, and the run always fails.
    """

    start: Start
    request: Mapping[str, Any]
    then: Mapping[str, Any]
    goes_on: bool = False
    broken: Strike | None = None


@dataclass(slots=True)
class Figures:
    """The counts of a matrix."""

    calls: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        cases = sum(self.verdicts.values())
        counts = ", ".join(f"{self.verdicts[verdict]} {verdict}" for verdict in Verdict)
        return f"{self.calls} calls, {cases} cases: {counts}"


class Matrix:
    """The cases of one scenario in one world."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self._world = world
        self._scenario = scenario
        world.build(scenario.start)
        self._before = world.look()
        with self._broken():
            run = world.run(scenario.request)
        lines = world.calls()
        self._ended = world.look()
        # Calls of the same name before the break count, so that those behind it keep their numbers.
        self.calls = recorded(lines)[len(recorded(lines[: _break(lines)])) :]
        if scenario.broken is None:
            assert run.status == "SUCCEEDED", run.cause
            self._after = self._ended
        else:
            assert run.status == "FAILED", run.output
            assert self._ended.outside == self._before.outside, "the undo leaves something without any fault"
            assert world.run(scenario.then).status == "SUCCEEDED"
            self._after = world.look()
        assert not self._after.leased
        assert self._after.outside != self._before.outside

    def cases(self) -> list[tuple[Call, Trouble]]:
        """Return every call with everything that AWS may do to it."""
        return [(call, trouble) for call in self.calls for trouble in Trouble if fault(call, trouble)]

    def judge(self, cases: Sequence[tuple[Call, Trouble]]) -> Figures:
        """Run *cases* and count how they end."""
        figures = Figures(calls=len({call for call, _ in cases}))
        for call, trouble in cases:
            verdict, problem = self._case(call, trouble)
            figures.verdicts[verdict] += 1
            if problem:
                figures.problems.append(f"{call}, {trouble}: {problem}")
        return figures

    def _broken(self) -> contextlib.AbstractContextManager[object]:
        strike = self._scenario.broken
        return self._world.sandbox.aws.faults.armed(strike) if strike else contextlib.nullcontext()

    def _case(self, call: Call, trouble: Trouble) -> tuple[Verdict, str | None]:
        found = fault(call, trouble)
        assert found is not None
        kind, times = found
        strike = Strike(
            source=call.source,
            call=call.operation,
            fault=kind,
            parameters={"FunctionName": call.function} if call.function else {},
            first=call.number,
            times=times,
        )
        world, scenario = self._world, self._scenario
        world.build(scenario.start)
        with self._broken(), world.sandbox.aws.faults.armed(strike) as struck:
            run = world.run(scenario.request)
        sight, lines = world.look(), world.calls()
        if not struck.times:
            return Verdict.HALF, "the fault never struck"
        verdict, problem = self._verdict(call, trouble, run, sight, lines)
        if problem is None and (sight.leased or sight.item != self._after.item):
            problem = self._next_run()
        return (Verdict.HALF if problem else verdict), problem

    def _verdict(
        self, call: Call, trouble: Trouble, run: Run, sight: Sight, lines: Sequence[Mapping[str, Any]]
    ) -> tuple[Verdict, str | None]:
        if run.status == "SUCCEEDED":
            return self._judge_success(call, trouble, sight)
        if run.status != "FAILED":
            return Verdict.HALF, f"the run has ended as {run.status}"
        if not trouble.lasts and self._scenario.broken is None:
            return Verdict.HALF, f"what passes made the run fail: {run.error}: {sentence(run)}"
        if not is_one_sentence(sentence(run)):
            return Verdict.HALF, f"the cause is no sentence: {run.error}: {sentence(run)[:300]}"
        untold = self._untold(call, run, sight, lines)
        if untold:
            return Verdict.HALF, untold
        return self._judge_failure(trouble, sight)

    def _judge_success(self, call: Call, trouble: Trouble, sight: Sight) -> tuple[Verdict, str | None]:
        if self._scenario.broken is not None:
            return Verdict.HALF, "the run that can't succeed has succeeded"
        if sight.outside != self._after.outside:
            return Verdict.HALF, f"succeeded, but not everything is done: {_differences(sight, self._after)}"
        ends = self._gives_back(call)
        if sight.leased and not (ends and trouble.lasts):
            return Verdict.HALF, "succeeded and still holds the lease"
        if not sight.leased and sight.item != self._after.item:
            return Verdict.HALF, f"succeeded and remembers: {_differences(sight, self._after)}"
        return Verdict.SUCCEEDED, None

    def _judge_failure(self, trouble: Trouble, sight: Sight) -> tuple[Verdict, str | None]:
        if sight.outside == self._after.outside:
            return Verdict.COMMITTED, None
        if sight.outside == self._before.outside:
            return Verdict.FAILED, None
        if self._scenario.goes_on and self._is_part_of_the_way(sight):
            return Verdict.NEXT_RUN, None
        if self._scenario.broken is not None and trouble.lasts:
            # The undo itself was kept from its work: the second fault.
            return Verdict.NEXT_RUN, None
        return Verdict.HALF, (
            f"neither before ({_differences(sight, self._before)}) "
            f"nor after ({_differences(sight, self._after)})"
        )

    def _is_part_of_the_way(self, sight: Sight) -> bool:
        """Whether what was done is a beginning of what is to be done, in its order."""
        done = [
            now == after
            for now, before, after in zip(
                sight.outside, self._before.outside, self._after.outside, strict=True
            )
        ]
        whole = all(
            now in (before, after)
            for now, before, after in zip(
                sight.outside, self._before.outside, self._after.outside, strict=True
            )
        )
        return whole and done == sorted(done, reverse=True)

    def _untold(self, call: Call, run: Run, sight: Sight, lines: Sequence[Mapping[str, Any]]) -> str | None:
        """Say what is missing of a failure's story: the site's status, and the event."""
        if self._is_at_the_door(call) or self._gives_back(call):
            # Told by the execution's own end alone: there is no lease yet, or no way to the table.
            return None
        if sight.leased:
            return "failed and still holds the lease"
        told = sight.told
        if told.get("state") != "failed" or not is_one_sentence(str(told.get("error"))):
            return f"the status does not tell of {run.error}: {told}"
        if run.error not in str(told["error"]):
            return f"the status tells of something else than {run.error}: {told['error']}"
        if self._before.item and not self._scenario.goes_on and sight.remembered != self._before.remembered:
            return f"a failed run has changed what is remembered: {sight.remembered}"
        events = [
            entry
            for line in lines
            if line["action"] == "PutEvents" and line["status"] < 300
            for entry in line["parameters"]["Entries"]
            if entry["DetailType"] == "Site Status" and '"failed"' in entry["Detail"]
        ]
        return None if events else "no event tells of the failure"

    def _next_run(self) -> str | None:
        """Without any fault, the next run does everything; return what it doesn't."""
        run = self._world.run(self._scenario.then)
        sight = self._world.look()
        if run.status != "SUCCEEDED":
            return f"the next run fails: {run.error}: {sentence(run)}"
        if sight.leased:
            return "the next run keeps the lease"
        if (sight.outside, sight.item) != (self._after.outside, self._after.item):
            return f"the next run ends elsewhere: {_differences(sight, self._after)}"
        return None

    def _is_at_the_door(self, call: Call) -> bool:
        return "acquire-lease" in (call.function or call.source)

    def _gives_back(self, call: Call) -> bool:
        return "release-lease" in (call.function or call.source)


def _differences(found: Sight, wanted: Sight) -> str:
    """Say in what two sights differ, as far as a person wants to read it."""
    return "; ".join(
        f"{name}: {str(getattr(found, name))[:400]}"
        for name in ("policy", "published", "endpoints", "groups", "item")
        if getattr(found, name) != getattr(wanted, name)
    )


def _break(lines: Sequence[Mapping[str, Any]]) -> int:
    """Return the place behind the last call that was struck while recording; 0 when none was."""
    return max((place + 1 for place, line in enumerate(lines) if line["fault"]), default=0)


def sample(cases: Sequence[tuple[Call, Trouble]], *, every: int) -> Iterator[tuple[Call, Trouble]]:
    """Take every so many of *cases*, the writes first: always the same ones."""
    ordered = sorted(cases, key=lambda case: (case[0].readonly, str(case[1]), str(case[0])))
    return iter(ordered[::every])
