"""
What goes wrong between a client and AWS: named faults that strike chosen calls.

    with aws.faults.armed(Strike(source="lambda:vbr-privatelink-ensure-bucket", call="s3:CreateBucket",
                                 fault=Dropped())) as struck:
        …
    struck.times      # how often it did

Nothing of the product is touched: the gateway refuses a call in AWS's place, or carries it out and keeps
the answer to itself.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, assert_never

from sandbox.aws.calls import AwsCall
from sandbox.aws.errors import ErrorAnswer
from sandbox.aws.identity import Principal

FUNCTION = "lambda:"
"""Begins the source of a call that a function makes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """AWS answers with an error, and carries nothing out."""

    answer: ErrorAnswer

    def __str__(self) -> str:
        return f"refused: {self.answer.code}"


@dataclasses.dataclass(frozen=True, slots=True)
class Dropped:
    """AWS carries the call out, and the connection closes before its answer arrives."""

    def __str__(self) -> str:
        return "dropped"


@dataclasses.dataclass(frozen=True, slots=True)
class OutOfTime:
    """AWS carries the call out; before its answer arrives, the time of the function that asked is up."""

    def __str__(self) -> str:
        return "out of time"


Fault = Refused | Dropped | OutOfTime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """
    Which calls a fault strikes: counted from when it is armed, the *first* one that matches and those that
    follow, *times* in all (None: every one).
    """

    source: str
    """Who calls, as the log of requests names it."""
    call: str
    """`service:Operation`, with boto3's name of the service."""
    fault: Fault
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the call must have among its parameters."""
    first: int = 1
    times: int | None = 1

    def matches(self, call: AwsCall, principal: Principal) -> bool:
        """Say whether this is such a call."""
        return (
            self.source == principal.source
            and self.call == f"{call.service}:{call.operation}"
            and all(call.parameters.get(name) == value for name, value in self.parameters.items())
        )


@dataclasses.dataclass(slots=True)
class Struck:
    """What an armed strike has met: calls that matched, and how many of them it has struck."""

    seen: int = 0
    times: int = 0


class Faults:
    """The strikes that are armed; *out_of_time* ends the running invocations of a function."""

    def __init__(self, out_of_time: Callable[[str], None]) -> None:
        self._out_of_time = out_of_time
        self._lock = threading.Lock()
        self._armed: list[tuple[Strike, Struck]] = []

    @contextlib.contextmanager
    def armed(self, strike: Strike) -> Iterator[Struck]:
        """Let *strike* happen while the context lasts."""
        if isinstance(strike.fault, OutOfTime) and not strike.source.startswith(FUNCTION):
            raise ValueError(f"only a function has a time: {strike.source}")
        entry = (strike, Struck())
        with self._lock:
            self._armed.append(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._armed.remove(entry)

    def at(self, call: AwsCall, principal: Principal) -> Fault | None:
        """Return what strikes this call; it counts as seen."""
        chosen: Fault | None = None
        with self._lock:
            for strike, struck in self._armed:
                if not strike.matches(call, principal):
                    continue
                struck.seen += 1
                due = struck.seen >= strike.first
                if chosen is None and due and (strike.times is None or struck.times < strike.times):
                    struck.times += 1
                    chosen = strike.fault
        return chosen

    def before_answering(self, fault: Fault | None, principal: Principal) -> None:
        """Do what happens between carrying a call out and answering it; raises to answer nothing."""
        match fault:
            case None | Refused():
                return
            case Dropped():
                raise ConnectionAbortedError("a fault closes this connection")
            case OutOfTime():
                self._out_of_time(principal.source.removeprefix(FUNCTION))
                raise ConnectionAbortedError("the function that asked has ended")
            case _:
                assert_never(fault)
