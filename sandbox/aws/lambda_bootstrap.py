"""
The inside of a function's process: import the handler once, then answer invocations until the pipe closes.

Started by `lambda_runtime.py` as a plain script, without the repository on its path: what isn't in the
function's own asset (or in the interpreter's site-packages, which stand for the layers) can't be imported,
as on AWS.

The script imports the layers' libraries once and then forks each function from itself: importing them
takes longer than most functions run. In a fork everything is as in an interpreter that was started with
the function's environment, but for the interpreter's own settings (PYTHON* other than PYTHONPATH, LANG and
the seed of str's hash), which all functions share.

The same function of many accounts is forked from an image: a fork that has imported the handler. It says
which variables that import has read; only functions that have the same values in them are forked from it.

The first line on a function's first pipe is its place (folder and environment); each further line is an
invocation, each line on the second pipe its outcome; the names of the runtime's own errors are Lambda's.
For an image, what is further on the first pipe are requests to fork, and its one outcome are the variables.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Handler = Callable[[Any, Any], Any]

PRELOADED = ("asyncio", "boto3", "boto3.s3.inject", "pydantic.main", "pydantic.functional_validators")
"""
What functions find imported. None of them keeps anything of the environment but HOME, which functions lack.
Powertools and the X-Ray SDK do: each function imports them itself.
"""


FUNCTION, IMAGE, SHARE_MODELS, READY = b"f", b"i", b"m", b"r"
"""What is to be forked or done, and what is said once anything can be asked for."""
MODELS = (
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "events",
    "lambda",
    "s3",
    "ssm",
    "stepfunctions",
    "sts",
)
"""Services whose models are read once for all: reading them takes longer than most functions run."""


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


def preload() -> frozenset[str]:
    """Import what most functions need; return the modules' names but for the standard library's."""
    before = set(sys.modules)
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    return frozenset(
        name for name in set(sys.modules) - before if _package(name) not in sys.stdlib_module_names
    )


def share_models() -> None:
    """Let all sessions of botocore use one loader, which has read the usual models already."""
    loaders: Any = importlib.import_module("botocore.loaders")
    sessions: Any = importlib.import_module("botocore.session")
    shared = loaders.create_loader()
    for service in MODELS:
        for kind in ("service-2", "endpoint-rule-set-1"):
            shared.load_service_model(service, kind)
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        shared.load_data(name)

    def create_loader(search_path_string: str | None = None) -> Any:
        return loaders.create_loader(search_path_string) if search_path_string else shared

    sessions.create_loader = create_loader
    gc.freeze()


@contextlib.contextmanager
def recorded_reads() -> Iterator[set[str]]:
    """Tell which variables of the environment are read."""
    kind: Any = type(os.environ)
    get, iterate = kind.__getitem__, kind.__iter__
    names: set[str] = set()

    def get_and_tell(self: Any, name: str) -> Any:
        names.add(name)
        return get(self, name)

    def iterate_and_tell(self: Any) -> Any:
        names.update(iterate(self))
        return iterate(self)

    kind.__getitem__, kind.__iter__ = get_and_tell, iterate_and_tell
    try:
        yield names
    finally:
        kind.__getitem__, kind.__iter__ = get, iterate


def fork_functions(requests: socket.socket) -> tuple[int, int] | None:
    """
    Fork a function for each request, until the parent is gone: then end them all and return None.

    In the fork, return the function's two pipes. A request is one byte with four descriptors: the pipes,
    where prints go, and a socket by which the function is ruled. Closing its other end kills the function,
    and what it has forked if it is an image; when a function has ended, its exit status is sent there.
    """
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    functions: dict[socket.socket, int] = {}
    images: set[socket.socket] = set()

    def reap(control: socket.socket, options: int) -> None:
        pid, status = os.waitpid(functions[control], options)
        if pid:
            del functions[control]
            with control, contextlib.suppress(OSError):
                control.send(str(os.waitstatus_to_exitcode(status)).encode())

    def kill(control: socket.socket) -> None:
        if control in images:
            images.discard(control)
            os.killpg(functions[control], signal.SIGKILL)
        else:
            os.kill(functions[control], signal.SIGKILL)
        reap(control, 0)

    while True:
        awaited: list[Any] = [requests, woken, *functions]
        ready, _, _ = select.select(awaited, [], [])
        for control in functions.keys() & set(ready):
            kill(control)
        if woken in ready:
            os.read(woken, 512)
            for control in list(functions):
                reap(control, os.WNOHANG)
        if requests not in ready:
            continue
        request, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
        if not request:
            for control in list(functions):
                kill(control)
            return None
        if request == SHARE_MODELS:
            share_models()
            continue
        incoming, outgoing, output, ruled = descriptors
        pid = os.fork()
        if request == IMAGE:
            # In the fork and here: whichever comes first.
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, interrupt)
            os.dup2(output, 1)
            os.dup2(output, 2)
            for item in (requests, *functions):
                item.close()
            for descriptor in (woken, waker, output, ruled):
                os.close(descriptor)
            return incoming, outgoing
        for descriptor in (incoming, outgoing, output):
            os.close(descriptor)
        control = socket.socket(fileno=ruled)
        functions[control] = pid
        if request == IMAGE:
            images.add(control)


def settle(place: dict[str, Any], preloaded: frozenset[str]) -> None:
    """Take the function's folder, environment and import path."""
    os.chdir(place["folder"])
    os.environ.clear()
    os.environ.update(place["environment"])
    time.tzset()
    path = [folder for folder in os.environ["PYTHONPATH"].split(os.pathsep) if folder]
    sys.path[:0] = path
    own = {entry.name.split(".")[0] for folder in path for entry in Path(folder).glob("*")}
    if own & {_package(name) for name in preloaded}:
        # The function brings a library of its own, which comes before the layers'.
        for name in preloaded:
            del sys.modules[name]


def shorten_waits(times: float) -> None:
    """Let whatever sleeps in a function (boto3, before it tries again) sleep *times* as long as it says."""
    sleep = time.sleep
    if times != 1:
        time.sleep = lambda seconds: sleep(float(seconds) * times)


def _package(name: str) -> str:
    return name.partition(".")[0]


def main() -> None:
    """Serve until the parent closes its end."""
    preloaded = preload()
    shorten_waits(float(sys.argv[2]))
    requests = socket.socket(fileno=int(sys.argv[1]))
    with contextlib.suppress(OSError):
        requests.send(READY)
    pipes = fork_functions(requests)
    if pipes is not None:
        serve(*pipes, preloaded)


def serve(incoming: int, outgoing: int, preloaded: frozenset[str]) -> None:
    """Be one function, or an image of functions."""
    place = json.loads(first_line(incoming))
    settle(place, preloaded)
    if not place["image"]:
        run(incoming, outgoing, *loaded())
        return
    forked = be_image(incoming, outgoing)
    if forked is not None:
        run(*forked)


def be_image(incoming: int, outgoing: int) -> tuple[int, int, Handler | None, BaseException | None] | None:
    """Import the handler once for many functions; return what `run` needs in each fork, None at the end."""
    with recorded_reads() as read:
        handler, fault = loaded()
    gc.freeze()
    sys.stdout.flush()
    sys.stderr.flush()
    # Prints go to a file here. Each fork prints them again, as if it had imported the handler itself.
    said = os.pread(1, os.fstat(1).st_size, 0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    with os.fdopen(outgoing, "w", encoding="utf-8") as outcomes:
        outcomes.write(json.dumps({name: os.environ.get(name) for name in sorted(read)}) + "\n")
    pipes = fork_functions(socket.socket(fileno=incoming))
    if pipes is None:
        return None
    place = json.loads(first_line(pipes[0]))
    os.environ.clear()
    os.environ.update(place["environment"])
    time.tzset()
    os.write(1, said)
    return *pipes, handler, fault


def loaded() -> tuple[Handler | None, BaseException | None]:
    """Import the handler; an import that fails is reported with every invocation, as Lambda does."""
    try:
        return load(os.environ["_HANDLER"]), None
    except Exception as error:  # noqa: BLE001 - the boundary: whatever an import raises is its function's error
        traceback.print_exc()
        return None, error


def first_line(descriptor: int) -> bytes:
    """Read one line, and not a byte behind it: for an image, descriptors come next."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            sys.exit(0)
        line += byte
    return bytes(line)


def run(incoming: int, outgoing: int, handler: Handler | None, fault: BaseException | None) -> None:
    """Answer invocations until there are no more."""
    for descriptor in (incoming, outgoing):
        # What the handler starts must not hold the pipes open.
        os.set_inheritable(descriptor, False)
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
