"""The command line as an operator and a scheduled task meet it: words, JSON, exit codes, no traceback."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from onprem_client import cli
from onprem_client.errors import ClientError, exit_codes
from tests.client.region_files import DEFAULT, REGION
from tests.client.server import StandInVbr, document

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="config")
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stand-in server, and Parameter Store with a published document."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "client.toml"
    file.write_text(
        'strategy = "regions-file"\nauto_apply = true\nserver = "vbr01"\nstate_folder = "state"\n'
        f'[[site]]\nname = "tokyo"\nregion = "{REGION}"\n'
        '[stand_in]\nregistry_file = "vbr/registry.json"\nservices_folder = "vbr/services"\n'
    )
    with mock_aws(), StandInVbr(tmp_path / "vbr"):
        boto3.client("ssm", region_name=REGION).put_parameter(
            Name="/vbr-privatelink/tokyo/endpoint", Value=document(), Type="String"
        )
        yield file


def _reports() -> list[str]:
    ssm = boto3.client("ssm", region_name=REGION)
    history = ssm.get_parameter_history(Name="/vbr-privatelink/tokyo/adoption/vbr01")
    return [json.loads(entry["Value"])["outcome"] for entry in history["Parameters"]]


def test_the_whole_story(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From plan to undo, through Parameter Store, each command twice."""
    xml = config.parent / "vbr" / "Backup" / "AmazonS3Regions.xml"
    codes = []
    for command in ("plan", "plan", "run", "run", "plan", "status", "undo", "undo", "run"):
        codes.append(cli.main([command, "--config", str(config)]))
        if command == "plan" and len(codes) == 5:
            assert xml.read_bytes() == DEFAULT.after
    said = capsys.readouterr()

    assert codes == [10, 10, 0, 0, 0, 0, 0, 0, 0]
    assert xml.read_bytes() == DEFAULT.before
    assert "held by undo; `apply` resumes" in said.out
    assert said.err == ""
    assert _reports() == ["adopted", "reverted"]


def test_apply_asks_and_a_script_must_say_yes(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is there to answer: nothing happens, and it says what to do."""
    refused = cli.main(["apply", "--config", str(config)])
    said = capsys.readouterr()
    accepted = cli.main(["apply", "--config", str(config), "--yes"])

    assert (refused, accepted) == (14, 0)
    assert "--yes" in said.err


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("YES\n", 0), ("\n", 14), ("", 14)])
def test_apply_takes_an_answer(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    """A person reads the plan and then decides."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda: answer)
    result = cli.main(["apply", "--config", str(config)])
    said = capsys.readouterr().out

    assert result == code
    assert said.index("-> REG_DWORD 1") < said.index("Go on?")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_json_is_one_object(config: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Monitoring reads it."""
    code = cli.main([command, "--config", str(config), "--json"])
    value = json.loads(capsys.readouterr().out)

    assert isinstance(value, dict)
    if command != "status":
        assert value["exit_code"] == code


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_an_error_is_a_sentence_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """No traceback for what an operator can put right."""
    code = cli.main(["run", "--config", str(tmp_path / "none.toml"), *more])
    said = capsys.readouterr()

    assert code == 3
    assert said.err.startswith("vbr-privatelink: ")
    assert len(said.err.splitlines()) == 1
    assert not more or json.loads(said.out)["exit_code"] == 3


def test_help_lists_every_exit_code() -> None:
    """They are part of the interface."""
    help_text = subprocess.run(
        [sys.executable, "-m", "onprem_client", "run", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert len(exit_codes()) >= 16
    assert all(f"{code:>2}  {meaning}" in help_text for code, meaning in exit_codes())


def test_each_error_has_a_meaning_of_its_own() -> None:
    """An exit code that stands for two things helps nobody."""
    waiting, codes = [ClientError], dict[int, str]()
    while waiting:
        error = waiting.pop()
        waiting.extend(error.__subclasses__())

        assert codes.setdefault(error.exit_code, error.meaning) == error.meaning


def test_a_start_loads_neither_boto3_nor_the_parser_of_models() -> None:
    """Every ten minutes on a production server: what isn't needed isn't loaded."""
    code = "import sys, onprem_client.cli; print([m for m in ('boto3', 'botocore') if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "[]"
