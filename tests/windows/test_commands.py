"""The commands as an operator calls them, against the sandbox's AWS and VBR server on the Linux side."""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import contextlib
import json
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.session import Session

from tests.client.region_files import DEFAULT, REGION
from tests.client.server import document
from tests.windows.backup_server import (
    CONFIGURATION,
    DEPENDENT,
    IDLE,
    MAIN,
    RUNNING,
    STATE,
    STOPPED,
    VALUE,
    XML,
    BackupServer,
    configure,
    python,
)

OUTSIDE = Path(r"C:\outside.json")
REPORT = "/vbr-privatelink/tokyo/adoption/vbr01"


@pytest.fixture(name="outside")
def _outside() -> dict[str, str]:
    if not OUTSIDE.exists():
        pytest.skip("the sandbox runs on Linux only, beside wine")
    return cast("dict[str, str]", json.loads(OUTSIDE.read_text()))


@pytest.fixture(name="ssm")
def _ssm(outside: dict[str, str], server: BackupServer) -> Any:  # noqa: ARG001
    """Parameter Store with a new document, as its administrator; and the client configured for it."""
    client: Any = Session().create_client(
        "ssm",
        region_name=REGION,
        endpoint_url=outside["aws_url"],
        verify=outside["ca_file"],
        aws_access_key_id=outside["access_key_id"],
        aws_secret_access_key=outside["secret_access_key"],
    )
    for name in ("/vbr-privatelink/tokyo/endpoint", REPORT):
        with contextlib.suppress(client.exceptions.ParameterNotFound):
            client.delete_parameter(Name=name)
    client.put_parameter(Name="/vbr-privatelink/tokyo/endpoint", Value=document(), Type="String")
    credentials = STATE / "credentials"
    credentials.write_text(
        f"[default]\naws_access_key_id = {outside['access_key_id']}\n"
        f"aws_secret_access_key = {outside['secret_access_key']}\n"
    )
    configure(aws=_aws(outside))
    return client


def _aws(outside: dict[str, str]) -> str:
    return (
        f"[aws]\nendpoint_url = '{outside['aws_url']}'\nca_bundle = '{outside['ca_file']}'\n"
        f"credentials_file = 'credentials'\ns3_proxy = '{outside['aws_proxy']}'\n"
    )


def _client(*arguments: str) -> tuple[int, Any]:
    done = python("-m", "onprem_client", *arguments, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _reports(ssm: Any) -> list[str]:
    history = ssm.get_parameter_history(Name=REPORT)["Parameters"]
    return [json.loads(one["Value"])["outcome"] for one in history]


def test_from_plan_to_undo_everything_is_put_back_byte_for_byte(server: BackupServer, ssm: Any) -> None:
    """The whole job on real Windows parts, each command twice; CRLF, a mark, and spaces in the path."""
    planned = [_client("plan") for _twice in range(2)]
    untouched = server.xml(), server.value(), len(server.loaded())
    ran = [_client("run") for _twice in range(2)]
    adopted = server.xml(), server.value(), server.loaded()[-1]
    states = server.states()
    _code, status = _client("status")
    undone = [_client("undo", "--yes") for _twice in range(2)]
    held = _client("run")

    assert [code for code, _value in planned] == [10, 10]
    assert [change["resource"] for change in planned[0][1]["changes"]] == [
        rf"registry value HKEY_LOCAL_MACHINE\SOFTWARE\Veeam\Veeam Backup and Replication\{VALUE}",
        f"service {MAIN} and {DEPENDENT}",
        str(XML),
        f"service {MAIN} and {DEPENDENT}",
    ]
    assert untouched == (DEFAULT.before, None, 1)
    assert [(code, value["changed"]) for code, value in ran] == [(0, True), (0, False)]
    assert adopted == (DEFAULT.after, (1, 4), {"xml": DEFAULT.after, "value": 1, "refreshed": False})
    assert states == {MAIN: RUNNING, DEPENDENT: RUNNING, IDLE: STOPPED}
    assert status["server"]["region_file"] == str(XML)
    assert [(code, value["changed"]) for code, value in undone] == [(0, True), (0, False)]
    assert held[0] == 0
    assert (server.xml(), server.value()) == (DEFAULT.before, None)
    assert server.states() == states
    assert len(server.loaded()) == 3
    assert not any(one["refreshed"] for one in server.loaded())
    assert _reports(ssm) == ["adopted", "reverted"]
    log = (STATE / "client.log").read_text(encoding="utf-8")
    assert log.count(" run: exit code 0") == 3
    assert log.count(" undo: exit code 0") == 2


def test_with_vbr_jobs_are_put_aside_and_back(
    server: BackupServer, ssm: Any, outside: dict[str, str]
) -> None:
    """TLS with an own authority, the password out of DPAPI, and VBR's jobs, all on Windows."""
    vbr = (
        f"[vbr]\nurl = '{outside['vbr_url']}'\nuser = '{outside['vbr_user']}'\n"
        f"ca_file = '{outside['ca_file']}'\nunseen_work = 'accept'\n"
    )
    configure(aws=_aws(outside) + vbr)
    stored = python(
        "-m",
        "onprem_client",
        "secret",
        "set",
        "vbr-password",
        "--stdin",
        stdin=f"{outside['vbr_password']}\n",
    )
    code, value = _client("run")
    log = Path(outside["vbr_requests"]).read_text(encoding="utf-8")

    assert stored.returncode == 0, stored.stderr
    assert code == 0, value["error"]
    assert (server.xml(), server.value()) == (DEFAULT.after, (1, 4))
    assert log.count("/disable") == log.count("/enable") > 0
    assert _reports(ssm) == ["adopted"]


def test_without_auto_apply_a_person_says_yes(
    server: BackupServer, ssm: Any, outside: dict[str, str]
) -> None:
    """`run` says what waits and touches nothing; `apply` without anybody to ask doesn't either."""
    configure(auto_apply=False, aws=_aws(outside))
    waiting, refused = _client("run"), _client("apply")
    untouched = server.xml(), server.value(), len(server.loaded())
    applied = _client("apply", "--yes")

    assert (waiting[0], refused[0], applied[0]) == (10, 14, 0)
    assert untouched == (DEFAULT.before, None, 1)
    assert server.xml() == DEFAULT.after
    assert _reports(ssm) == ["adopted"]


@pytest.mark.usefixtures("server")
def test_a_cloud_that_is_out_of_reach_is_an_exit_code() -> None:
    """The line is down: nothing is touched, and one sentence says so."""
    configure(aws='[aws]\nendpoint_url = "http://127.0.0.1:9"\ncredentials_file = "credentials"\n')
    (STATE / "credentials").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    done = python("-m", "onprem_client", "run", "--config", str(CONFIGURATION))

    assert done.returncode == 8
    assert "Traceback" not in done.stderr
