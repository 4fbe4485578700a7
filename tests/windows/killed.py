"""
The client, ended by Windows at one moment: `python -m tests.windows.killed POINT COMMAND [ARGUMENTS]`.

It begins when it gets a line, so that a test can start it before it is needed: most of its time are imports.
Moments are before and after each call of an adapter that changes something; the adapters are wrapped as a
whole, so that a new call is covered by itself. Parameter Store is a file: a kill there needs no network.
"""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import contextlib
import ctypes
import dataclasses
import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from onprem_client import cli
from onprem_client.parameter_store import Parameter
from onprem_client.windows import machine
from tests.client.server import Watched

PARAMETERS = Path(r"C:\toy\parameters.json")
KILLED = 86


class FileParameters:
    """Parameter Store in a file."""

    def __init__(self, *_region: object, **_aws: object) -> None:
        self._values = json.loads(PARAMETERS.read_text())

    def get(self, name: str) -> Parameter | None:
        found = self._values.get(name)
        return None if found is None else Parameter(*found)

    def put(self, name: str, value: str) -> None:
        version = self._values.get(name, [None, 0])[1] + 1
        PARAMETERS.write_text(json.dumps({**self._values, name: [value, version]}))


def publish(document: str) -> None:
    """Put the site's document into the file; what was reported is forgotten."""
    PARAMETERS.write_text(json.dumps({"/vbr-privatelink/tokyo/endpoint": [document, 1]}))


@contextlib.contextmanager
def without_network(point: int | None) -> Iterator[None]:
    """Let the command line use the file, and be killed at its *point*-th moment."""
    moments = count()

    def on_change(_when: str, _what: str) -> None:
        if next(moments) == point:
            kernel = ctypes.WinDLL("kernel32")
            kernel.TerminateProcess.argtypes = [ctypes.c_void_p, ctypes.c_uint]
            kernel.TerminateProcess(ctypes.c_void_p(-1), KILLED)

    def watched(**arguments: Any) -> machine.Machine:
        adapters = real(**arguments)
        wrapped = {
            field.name: Watched(getattr(adapters, field.name), on_change)
            for field in dataclasses.fields(adapters)
            if field.name != "lock" and getattr(adapters, field.name) is not None
        }
        return dataclasses.replace(adapters, **wrapped)

    def parameters(*arguments: object, **more: object) -> object:
        watcher: Any = Watched(FileParameters(*arguments, **more), on_change)
        # Looking is no change.
        watcher.get = watcher._target.get
        return watcher

    real = machine.machine
    with (
        _replaced(machine, "machine", watched),
        _replaced(cli, "SsmParameters", parameters),
        _replaced(cli, "SystemNetwork", lambda **_settings: None),
    ):
        yield


@contextlib.contextmanager
def _replaced(module: object, name: str, value: object) -> Iterator[None]:
    """Like unittest.mock, which takes long to import for a program that lives for a second."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def main(arguments: Sequence[str]) -> int:
    """Run the command once a line comes in; does not return when the moment comes."""
    if not sys.stdin.readline():
        return 0
    with without_network(int(arguments[0])):
        return cli.main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
