"""
The inside of a function's process: import the handler once, then answer invocations until the pipe closes.

Started by `lambda_runtime.py` as a plain script, without the repository on its path: what isn't in the
function's own asset (or in the interpreter's site-packages, which stand for the layers) can't be imported,
as on AWS. Standard library only.

Each line on the first pipe is an invocation, each line on the second its outcome; the names of the
runtime's own errors are Lambda's.
"""

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

Handler = Callable[[Any, Any], Any]


class Context:
    """What Lambda hands a handler beside its event."""

    def __init__(self, invocation: dict[str, Any]) -> None:
        self.aws_request_id: str = invocation["request_id"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn: str = invocation["function_arn"]
        self.client_context = None
        self.identity = None
        self._deadline: float = time.monotonic() + invocation["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class RuntimeFaultError(Exception):
    """The runtime, not the handler, can't go on; *kind* is Lambda's name for it."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


def load(name: str) -> Handler:
    """Import the handler that the configuration names (`package/module.function`)."""
    module_name, _, function_name = name.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        text = f"Unable to import module '{module_name}': {error}"
        raise RuntimeFaultError("Runtime.ImportModuleError", text) from error
    except SyntaxError as error:
        text = f"Syntax error in module '{module_name}': {error}"
        raise RuntimeFaultError("Runtime.UserCodeSyntaxError", text) from error
    try:
        handler: Handler = getattr(module, function_name)
    except AttributeError as error:
        text = f"Handler '{function_name}' missing on module '{module_name}'"
        raise RuntimeFaultError("Runtime.HandlerNotFound", text) from error
    return handler


def failure(error: BaseException, request_id: str) -> dict[str, Any]:
    """Describe *error* as Lambda does."""
    kind = error.kind if isinstance(error, RuntimeFaultError) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "errorMessage": str(error),
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": traceback.StackSummary.from_list(frames[1:]).format(),
    }


def answer(
    handler: Handler | None, fault: BaseException | None, invocation: dict[str, Any]
) -> dict[str, Any]:
    """Run one invocation."""
    request_id = invocation["request_id"]
    if handler is None:
        return {
            "failed": True,
            "payload": json.dumps(failure(fault or RuntimeError("no handler"), request_id)),
        }
    os.environ["_X_AMZN_TRACE_ID"] = (
        f"Root=1-{int(time.time()):08x}-{request_id.replace('-', '')[:24]};Sampled=0"
    )
    try:
        result = handler(invocation["event"], Context(invocation))
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a handler raises is its function's error
        outcome = failure(error, request_id)
        print(f"[ERROR] {outcome['errorType']}: {outcome['errorMessage']}")
        print("".join(outcome["stackTrace"]))
        return {"failed": True, "payload": json.dumps(outcome)}
    try:
        return {"failed": False, "payload": json.dumps(result)}
    except (TypeError, ValueError) as error:
        text = f"Unable to marshal response: {error}"
        return {
            "failed": True,
            "payload": json.dumps(
                {"errorMessage": text, "errorType": "Runtime.MarshalError", "requestId": request_id}
            ),
        }


def main() -> None:
    """Serve until the parent closes its end."""
    incoming, outgoing = (int(argument) for argument in sys.argv[1:3])
    for descriptor in (incoming, outgoing):
        # What the handler starts must not hold the pipes open.
        os.set_inheritable(descriptor, False)
    handler, fault = None, None
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:  # noqa: BLE001 - the boundary: reported with every invocation, as Lambda does
        fault = error
        traceback.print_exc()
    with (
        os.fdopen(incoming, encoding="utf-8") as invocations,
        os.fdopen(outgoing, "w", encoding="utf-8") as outcomes,
    ):
        for line in invocations:
            invocation = json.loads(line)
            outcome = answer(handler, fault, invocation)
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(1, f"\x1e{invocation['request_id']}\n".encode())
            outcomes.write(json.dumps(outcome) + "\n")
            outcomes.flush()


if __name__ == "__main__":
    main()
