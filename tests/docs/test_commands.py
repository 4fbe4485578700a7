"""
Every command in the documentation is one that its own program understands.

`make demo` and the tests of each program execute them; here nobody can rename an option and leave the old
one in a page.
"""

import json
import re
import shlex
from collections.abc import Callable, Sequence

import botocore.session
import pytest
from botocore import xform_name

from lambdas.acquire_lease.request import reconcile_request
from onprem_client import cli as client_cli
from sandbox.__main__ import main as sandbox_main
from site_cli import cli as site_cli
from tests.conftest import ROOT
from tests.docs.pages import Command, commands

COMMANDS = list(commands())
CDK_VERBS = {"bootstrap", "deploy", "destroy", "diff", "synth"}


def make(words: Sequence[str]) -> None:
    """A target of the Makefile."""
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    assert words
    assert {word for word in words if "=" not in word} <= targets


def python(words: Sequence[str]) -> None:
    """A package of this repository, run as a module."""
    flag, module, *arguments = words
    assert flag == "-m"
    {"onprem_client": client, "site_cli": site, "sandbox": sandbox}[module](arguments)


def client(words: Sequence[str]) -> None:
    """The client's own parser."""
    parsed(client_cli._parser().parse_args, words)


def site(words: Sequence[str]) -> None:
    """The parser of the cloud side's command."""
    parsed(site_cli.parser().parse_args, words)


def sandbox(words: Sequence[str]) -> None:
    """The sandbox only answers to --help without being started."""
    parsed(lambda given: sandbox_main([*given, "--help"]), words)


def parsed(parse: Callable[[list[str]], object], words: Sequence[str]) -> None:
    """Let argparse read the words; --help and --version end with 0."""
    try:
        parse(list(words))
    except SystemExit as ended:
        if ended.code:
            raise AssertionError(f"{words} is not understood") from ended


def cdk(words: Sequence[str]) -> None:
    """The CDK's own command line, which deploys."""
    assert words[0] == "aws-cdk@2"
    assert words[1] in CDK_VERBS


def aws(words: Sequence[str]) -> None:
    """An operation of AWS with its parameters; a request to the product is one that it accepts."""
    service, operation, *options = words
    model = botocore.session.get_session().get_service_model(service)
    [found] = [name for name in model.operation_names if xform_name(name, "-") == operation]
    shape = model.operation_model(found).input_shape
    assert shape is not None
    known = {f"--{xform_name(name, '-')}" for name in shape.members}
    assert {option for option in options if option.startswith("--")} <= known
    if operation == "put-events":
        [entry] = json.loads(options[options.index("--entries") + 1])
        request = {
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "detail": json.loads(entry["Detail"]),
        }
        assert reconcile_request(request).site


SOURCED = [".venv/bin/activate"], [".sandbox/env.sh"]
READERS: dict[str, Callable[[Sequence[str]], None]] = {
    ".": lambda words: None if words in SOURCED else pytest.fail(str(words)),
    ".venv/bin/python": python,
    "aws": aws,
    "make": make,
    "npx": cdk,
    "pipx": lambda words: None if words == ["install", "."] else pytest.fail(str(words)),
    "python": python,
    "vbr-privatelink": client,
    "vbr-privatelink-site": site,
}


def test_there_are_commands_of_every_program() -> None:
    """A search that finds nothing must not look green."""
    assert {command.text.split()[0] for command in COMMANDS} >= {
        "aws",
        "make",
        "npx",
        "vbr-privatelink",
        "vbr-privatelink-site",
    }


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_is_understood_by_its_program(command: Command) -> None:
    """A newcomer's first command works."""
    program, *words = shlex.split(command.text, comments=True)

    READERS[program](words)


@pytest.mark.parametrize(
    "text",
    [
        "make deno",
        "vbr-privatelink-site provide tokyo",
        "vbr-privatelink plan --configuration client.toml",
        "python -m sandbox demmo",
        "npx aws-cdk@2 deplay",
        "aws events put-events --entry '[]'",
        "aws events put-events --entries '[{}]'",
        "pipx install requests",
    ],
)
def test_a_wrong_command_is_noticed(text: str) -> None:
    """A reader that accepts everything proves nothing."""
    program, *words = shlex.split(text)

    with pytest.raises((Exception, pytest.fail.Exception)):
        READERS[program](words)
