"""
Run functions for real: the function's own zip, in warm processes, under the function's role and
environment.

moto wants Docker for that, or answers with a canned text. Here each function has a few processes of the
sandbox's own interpreter that are kept warm and are replaced when code or configuration change. They get
the environment that Lambda gives, the role's credentials, and the address of the emulator; nothing of the
parent's environment but PATH. The time-out is enforced by killing the process.

They are forked from one process that has imported the layers' libraries (`lambda_bootstrap.py`). It has a
single thread, so that forking it is safe; this process has many. The same function in many accounts is
forked from an image that has imported its handler, if that import read nothing in which they differ; and
only so many idle processes are kept, whoever they belong to. So one more account costs one more fork for
each function, and no more memory.
"""

import collections
import contextlib
import dataclasses
import hashlib
import io
import json
import logging
import os
import queue
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.aws.identity import Credentials

LOGGER = logging.getLogger(__name__)

BOOTSTRAP = Path(__file__).with_name("lambda_bootstrap.py")
END_OF_OUTPUT = "\x1e"
"""Begins the line by which a process says that an invocation's output is complete."""
FUNCTION, IMAGE, SHARE_MODELS = b"f", b"i", b"m"
"""What a process that forks is asked for; as in the bootstrap, which can't be imported here."""
PROCESSES_PER_FUNCTION = 3
MOST_IDLE_PROCESSES = 40
"""Of all functions together; the one that has idled longest goes first."""
FEW_FUNCTIONS = 3
"""So many read the models of AWS's services themselves: for them it isn't worth while to share."""
MOST_IMAGES = 3
"""Of one handler; a handler that reads at its import what differs everywhere is imported in each process."""
LOG_PATIENCE_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """Everything that decides how a function runs; another value means another process."""

    arn: str
    name: str
    version: str
    region: str
    handler: str
    runtime: str
    role_arn: str
    timeout: float
    memory: int
    log_group: str
    environment: tuple[tuple[str, str], ...]
    code_digest: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an invocation came to."""

    payload: str
    failed: bool


class _Forker:
    """A process that functions are forked from."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._lock = threading.Lock()

    def fork(self, kind: bytes, incoming: int, outgoing: int, output: int) -> socket.socket:
        """Fork a process with these descriptors; return the socket by which it is ruled."""
        control, theirs = socket.socketpair()
        # Without a process that takes it (all is being stopped), the function ends before it begins.
        with theirs, self._lock, contextlib.suppress(OSError):
            socket.send_fds(self._requests, [kind], [incoming, outgoing, output, theirs.fileno()])
        return control


class _Template(_Forker):
    """The process that everything is forked from; it ends with this one."""

    def __init__(self, waits: float) -> None:
        requests, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # -P: the bootstrap's own folder must not be importable. -u: prints arrive when they are made.
                [sys.executable, "-P", "-u", str(BOOTSTRAP), str(theirs.fileno()), str(waits)],
                env=_common_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        super().__init__(requests)
        # Until it is ready: what it imports isn't to count as the first function's time.
        self._requests.recv(1)

    def share_models(self) -> None:
        """Let it read the usual models of AWS's services for all functions that are forked from now on."""
        with self._lock, contextlib.suppress(OSError):
            self._requests.send(SHARE_MODELS)

    def stop(self) -> None:
        """End it, and every function and image that is left."""
        self._requests.close()
        self._process.wait()


class _Image(_Forker):
    """A fork of the template that has imported a handler; `reads` is what the import saw."""

    def __init__(self, template: _Template, folder: Path, environment: dict[str, str]) -> None:
        requests, theirs = socket.socketpair()
        answer, outgoing = os.pipe()
        with theirs, tempfile.TemporaryFile() as output:
            try:
                self._control = template.fork(IMAGE, theirs.fileno(), outgoing, output.fileno())
            finally:
                os.close(outgoing)
        super().__init__(requests)
        place = json.dumps({"folder": str(folder), "environment": environment, "image": True})
        with contextlib.suppress(OSError):
            requests.sendall(f"{place}\n".encode())
        with os.fdopen(answer, encoding="utf-8") as stream:
            line = stream.readline()
        self.reads: dict[str, str | None] | None = json.loads(line) if line else None
        """None: it ended while it imported."""

    def fits(self, environment: dict[str, str]) -> bool:
        """Tell whether the import would have seen the same in *environment*."""
        return self.reads is not None and all(
            environment.get(name) == value for name, value in self.reads.items()
        )

    def stop(self) -> None:
        """End it, and the functions that were forked from it."""
        self._requests.close()
        self._control.close()


class _Images:
    """The images of one embedded AWS, made when a second function has the same code and handler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._functions: dict[tuple[str, str], set[str]] = {}
        self._made: dict[tuple[str, str], list[_Image]] = {}

    def forker(self, arn: str, template: _Template, folder: Path, environment: dict[str, str]) -> _Forker:
        """Return what the function *arn* of this code, handler and environment is forked from."""
        key = (str(folder), environment["_HANDLER"])
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
            functions = self._functions.setdefault(key, set())
            functions.add(arn)
            if len(functions) == 1:
                return template
        with lock:
            made = self._made.setdefault(key, [])
            for image in made:
                if image.fits(environment):
                    return image
            if len(made) >= MOST_IMAGES or any(image.reads is None for image in made):
                return template
            image = _Image(template, folder, environment)
            made.append(image)
            return image if image.fits(environment) else template

    def stop(self) -> None:
        """End them all."""
        with self._lock:
            made, self._made = list(self._made.values()), {}
        for images in made:
            for image in images:
                image.stop()


class _Process:
    """One warm process of a function."""

    def __init__(
        self,
        spec: FunctionSpec,
        forker: _Forker,
        folder: Path,
        environment: dict[str, str],
        emit: Callable[[list[str]], None],
    ) -> None:
        self.spec = spec
        self._emit = emit
        incoming, self._requests = os.pipe()
        self._outcomes, outgoing = os.pipe()
        self._output, output = os.pipe()
        try:
            self._control = forker.fork(FUNCTION, incoming, outgoing, output)
        finally:
            for descriptor in (incoming, outgoing, output):
                os.close(descriptor)
        self._code: int | None = None
        self._code_lock = threading.Lock()
        self._unread = b""
        self._closed = False
        self._out_of_time = False
        self._stopping = threading.Lock()
        # Held while the pipes are used, and to close them: a number that is closed under a reader may
        # already belong to somebody else. Reentrant: an invocation that is out of time stops itself.
        self._pipes = threading.RLock()
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read_output, daemon=True, name=f"output-of-{spec.name}")
        self._reader.start()
        self._send({"folder": str(folder), "environment": environment, "image": False})

    @property
    def alive(self) -> bool:
        return self._exit_code(0) is None

    def invoke(self, event: Any) -> Outcome:
        """Run one invocation; a process that doesn't answer in time is killed."""
        with self._pipes:
            return self._invoke(event)

    def _invoke(self, event: Any) -> Outcome:
        request_id = str(uuid.uuid4())
        started = time.monotonic()
        invocation = {
            "request_id": request_id,
            "event": event,
            "function_arn": self.spec.arn,
            "timeout": self.spec.timeout,
        }
        self._send(invocation)
        answer = self._next_answer(started + self.spec.timeout)
        if answer is None and (self._out_of_time or self.alive):
            self.stop()
            text = f"RequestId: {request_id} Error: Task timed out after {self.spec.timeout:.2f} seconds"
            outcome = _platform_error("Sandbox.Timedout", text)
        elif answer is None:
            code = self._exit_code(None)
            text = f"RequestId: {request_id} Error: Runtime exited with exit status {code}"
            outcome = _platform_error("Runtime.ExitError", text)
        else:
            parsed = json.loads(answer)
            outcome = Outcome(payload=parsed["payload"], failed=parsed["failed"])
        self._emit(
            [
                f"START RequestId: {request_id} Version: {self.spec.version}",
                *self._output_until(request_id),
                *([json.loads(outcome.payload)["errorMessage"]] if answer is None else []),
                f"END RequestId: {request_id}",
                f"REPORT RequestId: {request_id}\tDuration: {(time.monotonic() - started) * 1000:.2f} ms",
            ]
        )
        return outcome

    def out_of_time(self) -> None:
        """End the invocation that is under way as if its time were up."""
        self._out_of_time = True
        self.stop()

    def stop(self) -> None:
        """End the process and everything that belongs to it; harmless when it is done already."""
        with self._stopping:
            if self.alive:
                with contextlib.suppress(OSError):
                    self._control.shutdown(socket.SHUT_WR)
            self._exit_code(None)
            self._control.close()
            self._reader.join(LOG_PATIENCE_SECONDS)
        # An invocation that is under way sees the end of the process, and lets go of the pipes.
        with self._pipes:
            if not self._closed:
                self._closed = True
                os.close(self._requests)
                os.close(self._outcomes)

    def _exit_code(self, patience: float | None) -> int | None:
        """Return the exit status once the process has ended (None: wait for that)."""
        with self._code_lock:
            if self._code is None:
                poll = select.poll()
                poll.register(self._control, select.POLLIN)
                if poll.poll(patience):
                    # Without a word: the template has been killed, and its functions with it.
                    self._code = int(self._control.recv(16) or -signal.SIGKILL)
            return self._code

    def _send(self, message: dict[str, Any]) -> None:
        if self._closed:
            return
        with contextlib.suppress(BrokenPipeError):
            _write_all(self._requests, (json.dumps(message) + "\n").encode())

    def _next_answer(self, deadline: float) -> bytes | None:
        """Return the next answer; None when there is none in time, or will be none."""
        if self._closed:
            return None
        poll = select.poll()
        poll.register(self._outcomes, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            chunk = os.read(self._outcomes, 65536)
            if not chunk:
                self._exit_code(None)
                return None
            self._unread += chunk
        answer, self._unread = self._unread.split(b"\n", 1)
        return answer

    def _read_output(self) -> None:
        with os.fdopen(self._output, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _output_until(self, request_id: str) -> list[str]:
        """Return what was printed for one invocation; the end mark is sent before the outcome."""
        lines: list[str] = []
        deadline = time.monotonic() + LOG_PATIENCE_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None or line == f"{END_OF_OUTPUT}{request_id}":
                break
            if END_OF_OUTPUT in line:
                # The handler's last print had no line end.
                lines.append(line.split(END_OF_OUTPUT, 1)[0])
                break
            lines.append(line)
        return lines


class _Idle:
    """The idle processes of all pools, so many and no more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: collections.OrderedDict[_Process, _Pool] = collections.OrderedDict()

    def put(self, process: _Process, pool: "_Pool") -> None:
        with self._lock:
            self._processes[process] = pool
            superfluous = (
                self._processes.popitem(last=False)[0] if len(self._processes) > MOST_IDLE_PROCESSES else None
            )
        if superfluous is not None:
            superfluous.stop()

    def take(self, pool: "_Pool") -> _Process | None:
        """Return the process of *pool* that was used last; None when it has none."""
        with self._lock:
            found = next((item for item in reversed(self._processes) if self._processes[item] is pool), None)
            if found is not None:
                del self._processes[found]
            return found


class _Pool:
    """The processes of one function."""

    def __init__(self, spec: FunctionSpec, idle: _Idle, start: Callable[[], _Process]) -> None:
        self.spec = spec
        self._idle = idle
        self._start = start
        self._slots = threading.Semaphore(PROCESSES_PER_FUNCTION)
        self._lock = threading.Lock()
        self._busy: set[_Process] = set()
        self._closed = False

    def invoke(self, event: Any) -> Outcome:
        with self._slots:
            process = self._take()
            try:
                return process.invoke(event)
            finally:
                self._give_back(process)

    def close(self) -> None:
        """Stop every process, at once."""
        self.retire()
        with self._lock:
            processes = list(self._busy)
        for process in processes:
            process.stop()

    def out_of_time(self) -> None:
        """Let the time of every invocation that is under way be up."""
        with self._lock:
            busy = list(self._busy)
        for process in busy:
            process.out_of_time()

    def retire(self) -> None:
        """Let running invocations end, then stop; idle processes go at once."""
        with self._lock:
            self._closed = True
        while (process := self._idle.take(self)) is not None:
            process.stop()

    def _take(self) -> _Process:
        while (process := self._idle.take(self)) is not None:
            if process.alive:
                break
            process.stop()
        else:
            process = self._start()
        with self._lock:
            self._busy.add(process)
        return process

    def _give_back(self, process: _Process) -> None:
        alive = process.alive
        with self._lock:
            self._busy.discard(process)
            keep = alive and not self._closed
            if keep:
                self._idle.put(process, self)
        if not keep:
            process.stop()


class LambdaRuntime:
    """All functions of one embedded AWS."""

    def __init__(
        self,
        folder: Path,
        *,
        addresses: Callable[[], dict[str, str]],
        credentials: Callable[[FunctionSpec], Credentials],
        waits: float,
    ) -> None:
        self._folder = folder
        self._waits = waits
        self._addresses = addresses
        self._credentials = credentials
        self._lock = threading.Lock()
        self._pools: dict[str, _Pool] = {}
        self._idle = _Idle()
        self._images = _Images()
        self._template: _Template | None = None

    def invoke(
        self, spec: FunctionSpec, code: bytes, event: Any, emit: Callable[[list[str]], None]
    ) -> Outcome:
        """Run *spec* on *event*; *emit* gets the log lines."""
        with self._lock:
            pool = self._pools.get(spec.arn)
            if pool is None or pool.spec != spec:
                if pool is not None:
                    pool.retire()
                pool = self._pools[spec.arn] = self._new_pool(spec, code, emit)
        return pool.invoke(event)

    def out_of_time(self, name: str) -> None:
        """Let the time of whatever runs of the function *name* be up."""
        with self._lock:
            pools = [pool for pool in self._pools.values() if pool.spec.name == name]
        for pool in pools:
            pool.out_of_time()

    def stop(self) -> None:
        """End every process."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
            template, self._template = self._template, None
        for pool in pools:
            pool.close()
        self._images.stop()
        if template is not None:
            template.stop()

    def _new_pool(self, spec: FunctionSpec, code: bytes, emit: Callable[[list[str]], None]) -> _Pool:
        folder = self._folder / spec.name / hashlib.sha256(code).hexdigest()[:16]
        if not folder.exists():
            unpacked = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}")
            unpacked.mkdir(parents=True)
            with zipfile.ZipFile(io.BytesIO(code)) as archive:
                archive.extractall(unpacked)
            shutil.move(unpacked, folder)
        # At the first function: many an embedded AWS never runs one.
        template = self._template = self._template or _Template(self._waits)
        if len(self._pools) == FEW_FUNCTIONS:
            template.share_models()
        log_file = self._folder / f"{spec.name}.log"

        def keep(lines: list[str]) -> None:
            # An invocation that came in as all was being stopped may end after the folder has gone.
            with contextlib.suppress(FileNotFoundError), log_file.open("a", encoding="utf-8") as stream:
                stream.writelines(f"{line}\n" for line in lines)
            emit(lines)

        def start() -> _Process:
            environment = self._environment(spec, folder)
            forker = self._images.forker(spec.arn, template, folder, environment)
            return _Process(spec, forker, folder, environment, keep)

        return _Pool(spec, self._idle, start)

    def _environment(self, spec: FunctionSpec, folder: Path) -> dict[str, str]:
        credentials = self._credentials(spec)
        return {
            **_common_environment(),
            "PYTHONPATH": str(folder),
            **dict(spec.environment),
            "AWS_REGION": spec.region,
            "AWS_DEFAULT_REGION": spec.region,
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token or "",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": spec.name,
            "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": f"[{spec.version}]sandbox",
            "LAMBDA_TASK_ROOT": str(folder),
            "_HANDLER": spec.handler,
            **self._addresses(),
        }


def _common_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "en_US.UTF-8", "TZ": ":UTC"}


def _platform_error(kind: str, message: str) -> Outcome:
    return Outcome(payload=json.dumps({"errorType": kind, "errorMessage": message}), failed=True)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
