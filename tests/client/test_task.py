"""The scheduled task's definition, and the order in which dependents stop: pure functions, on any system."""

import json
from collections import Counter
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree as ET

import pytest

from onprem_client import cli
from onprem_client.errors import ConfigurationError
from onprem_client.windows.services import in_stop_order
from onprem_client.windows.task import INTERVAL, Command, definition, phase
from tests.client.region_files import REGION

NAMESPACE = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
COMMAND = Command(
    program=PureWindowsPath(r"C:\Program Files\R&D <1>\vbr-privatelink.exe"),
    arguments=r'run --config "C:\ProgramData\vbr-privatelink\client.toml"',
    folder=PureWindowsPath(r"C:\Program Files\R&D <1>"),
)


def _task(account: str = "SYSTEM") -> ET.Element:
    text = definition(COMMAND, account=account, server="vbr01")
    # The declaration names the encoding of the file that is written from it.
    return ET.fromstring(text.partition("?>")[2])  # noqa: S314, our own text


def _text(task: ET.Element, path: str) -> str | None:
    return task.findtext("/".join(f"t:{part}" for part in path.split("/")), namespaces=NAMESPACE)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Triggers/TimeTrigger/Repetition/Interval", "PT10M"),
        ("Triggers/TimeTrigger/StartBoundary", "2026-01-01T00:07:56"),
        ("Triggers/BootTrigger/Enabled", None),
        ("Principals/Principal/UserId", "S-1-5-18"),
        ("Principals/Principal/RunLevel", "HighestAvailable"),
        ("Settings/MultipleInstancesPolicy", "IgnoreNew"),
        ("Settings/ExecutionTimeLimit", "PT1H"),
        ("Settings/StartWhenAvailable", "false"),
        ("Settings/DisallowStartIfOnBatteries", "false"),
        ("Settings/RunOnlyIfIdle", "false"),
        ("Actions/Exec/Command", str(COMMAND.program)),
        ("Actions/Exec/Arguments", COMMAND.arguments),
        ("Actions/Exec/WorkingDirectory", str(COMMAND.folder)),
    ],
)
def test_the_task_says(path: str, expected: str | None) -> None:
    """Each of these has a reason in `definition`; names with special characters survive."""
    assert _text(_task(), path) == expected


@pytest.mark.parametrize("names", ["vbr{}", "VBR-{:05}.example.com", "backup{}.branch{}.example.com"])
def test_twelve_thousand_servers_stay_under_the_limit_of_parameter_store(names: str) -> None:
    """
    40 requests a second. A start has no trigger of its own and a missed one is not caught up, so an outage
    changes nothing: when everything is back, each server asks at its own second again.
    """
    starts = Counter(phase(names.format(number, number % 40)) for number in range(12_000))

    assert max(starts.values()) <= 40
    assert len(starts) == INTERVAL.total_seconds()


def test_a_server_asks_at_the_same_second_after_every_installation() -> None:
    """Names of servers are compared without case."""
    assert phase("VBR01") == phase("vbr01") != phase("vbr02")


def test_a_managed_service_account_runs_without_a_stored_password() -> None:
    """Windows fetches it; SYSTEM needs no kind of logon at all."""
    task = _task("EXAMPLE\\vbr-client$")

    assert _text(task, "Principals/Principal/UserId") == "EXAMPLE\\vbr-client$"
    assert _text(task, "Principals/Principal/LogonType") == "Password"
    assert _text(_task("system"), "Principals/Principal/LogonType") is None


@pytest.mark.parametrize("account", ["", "alice", "EXAMPLE\\alice", "vbr-client$"])
def test_another_account_is_refused(account: str) -> None:
    """Its password would have to be kept, and its next change would end the task unseen."""
    with pytest.raises(ConfigurationError, match="group managed service account"):
        definition(COMMAND, account=account, server="vbr01")


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    file = tmp_path / "client.toml"
    file.write_text(
        f'strategy = "regions-file"\nstate_folder = "state"\n[[site]]\nname = "tokyo"\nregion = "{REGION}"\n'
    )
    return file


def test_print_shows_the_task_and_registers_nothing(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A careful administrator reads it first; that works on any machine."""
    codes = [cli.main(["task", "install", "--print", "--config", str(config)])]
    shown = capsys.readouterr().out
    codes.append(cli.main(["task", "install", "--print", "--json", "--config", str(config)]))
    value = json.loads(capsys.readouterr().out)

    assert codes == [0, 0]
    assert f'-m onprem_client run --config "{config}"' in shown
    assert value["text"] in shown
    assert not value["changed"]


@pytest.mark.parametrize("verb", ["install", "remove"])
def test_elsewhere_there_is_no_task(verb: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the message says what to do instead."""
    code = cli.main(["task", verb, "--config", str(config)])

    assert code == 3
    assert "systemd timer" in capsys.readouterr().err
    assert not (config.parent / "state").exists()


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({}, ()),
        ({"Other": ["Rpc"]}, ()),
        ({"A": ["Main"], "B": ["rpc", "MAIN"]}, ("A", "B")),
        ({"A": ["Main"], "C": ["B"], "B": ["A"]}, ("C", "B", "A")),
        ({"Main": ["A"], "A": ["Main"]}, ("A",)),
        ({"Both": ["Main", "A"], "A": ["Main"]}, ("Both", "A")),
    ],
)
def test_dependents_stop_before_what_they_need(
    needs: dict[str, list[str]], expected: tuple[str, ...]
) -> None:
    """Directly or through others, each once, even where two need each other."""
    order = in_stop_order("Main", needs)

    assert set(order) == set(expected)
    for name, named in needs.items():
        for other in named:
            if name in order and other in order:
                assert order.index(name) < order.index(other)
