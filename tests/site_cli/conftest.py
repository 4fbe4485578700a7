"""One sandbox for the whole folder, and the command as a person runs it there."""

import contextlib
import io
import json
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.running import Sandbox, SandboxOptions
from site_cli import cli
from tests.conftest import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command has left behind."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture(name="sandbox", scope="package")
def _sandbox(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    options = SandboxOptions(
        state=tmp_path_factory.mktemp("site") / "state", root=ROOT, pending_seconds=1.0, assembly=assembly
    )
    with Sandbox(options) as sandbox:
        yield sandbox


@pytest.fixture(name="variables", scope="package")
def _variables(sandbox: Sandbox) -> dict[str, str]:
    """The environment of a shell after `. env.sh`, and nothing else that AWS's SDK reads."""
    words = [shlex.split(line) for line in (sandbox.state / "env.sh").read_text().splitlines()]
    exports = dict(assignment.split("=", 1) for _export, assignment in words)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, **exports, "HOME": str(sandbox.state)}


@pytest.fixture(name="run", scope="package")
def _run(variables: dict[str, str]) -> Command:
    """The command with this environment alone; in this process, because each start takes a second."""

    def run(*arguments: str, **more: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                patch.delenv(name)
            for name, value in {**variables, **more}.items():
                patch.setenv(name, value)
            patch.setattr("boto3.DEFAULT_SESSION", None)
            patch.setattr("sys.stdin", io.StringIO())
            patch.setattr("site_cli.execution.POLL_SECONDS", 0.2)
            code = cli.main(arguments)
        return Done(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())

    return run


def said(done: Done) -> dict[str, Any]:
    """The one JSON object on stdout."""
    value: dict[str, Any] = json.loads(done.stdout)
    return value
