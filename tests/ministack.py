"""
ministack, an emulator of AWS that shares no code with moto: a second opinion, in its own environment.

`make test` installs it into `.ministack`; it pins another botocore than the product.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.conftest import ROOT

PYTHON = ROOT / ".ministack" / "bin" / "python"
_PATIENCE_SECONDS = 60.0


def require_installed() -> Path:
    """Return the environment's Python; without it a test fails, because it would prove nothing."""
    if not PYTHON.exists():
        raise AssertionError(f"{PYTHON} is missing: `make .ministack/installed` installs it")
    return PYTHON


@contextlib.contextmanager
def running(folder: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """
    Run it on 127.0.0.1 and yield its URL; it checks signatures and policies (`AUTH=true`).

    *folder* takes its files and its log. With `USE_SSL=1` in *environment* the URL is https, and the
    server takes port 443 of 127.0.0.1 as well if it may.
    """
    python = require_installed()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "AUTH": "true",
        # Its default is all interfaces.
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        **(environment or {}),
    }
    scheme = "https" if variables.get("USE_SSL") == "1" else "http"
    with (folder / "ministack.log").open("wb") as log:
        server = subprocess.Popen(
            [python, "-m", "ministack"], cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(server, port, folder / "ministack.log")
            yield f"{scheme}://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
