"""The repository in VBR: added once, adopted when it is there, safe to be killed in the middle of."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from onprem_client.errors import ClientError, RepositoryError, SecretError, VbrError
from onprem_client.secret import Secret, repository_secret
from onprem_client.veeam.protocols import Repository
from tests.client.region_files import DEFAULT, REGION
from tests.client.server import SITE, VBR, Memory, configured, document, memory_server

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = Secret("the/secret+key")


class _Killed(BaseException):
    """The program ends here; nothing in the client may catch it."""


def _site(more: str = "") -> str:
    return (
        f'[[site]]\nname = "{SITE}"\nregion = "{REGION}"\n'
        f'[site.repository]\naccess_key_id = "{KEY}"\nname = "Tokyo"\n{more}'
    )


def _memory_server(folder: Path, more: str = "", *, auto_apply: bool = True) -> Memory:
    server = memory_server(folder, rest=True)
    server.configuration = configured(folder, more=VBR, sites=_site(more), auto_apply=auto_apply)
    server.secrets.values[repository_secret(SITE)] = SECRET
    return server


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Memory:
    return _memory_server(tmp_path)


def _checks(server: Memory) -> dict[str, bool]:
    report = json.loads(server.parameters.puts[-1][1])
    return {check["id"]: check["ok"] for check in report["checks"]}


def test_the_repository_is_added_after_the_restart_and_once(server: Memory) -> None:
    """Credential, look, folder, repository, online; a second run has nothing to do and does not sign in."""
    planned = server.client().plan()
    result = server.run()
    calls = len(server.fake_vbr.calls)
    again = server.run()
    applied = server.apply()
    (new,) = server.fake_vbr.added

    assert str(planned.changes[-1]) == "repository Tokyo: absent -> vbr-tokyo/vbr01"
    assert (result.exit_code, result.changed) == (0, True)
    assert (again.exit_code, again.changed, len(server.fake_vbr.calls) > calls) == (0, False, True)
    assert not applied.changed
    assert (new.name, new.folder, new.take_ownership) == ("Tokyo", "vbr01", False)
    assert (new.place.bucket, new.place.region, new.place.service_point) == ("vbr-tokyo", REGION, None)
    assert server.fake_vbr.keys == {"c1": (KEY, SECRET)}
    assert server.fake_vbr.buckets == {"vbr-tokyo": {"vbr01"}}
    assert server.fake_vbr.browsed == 1
    assert _checks(server)["repository"] is True
    assert server.parameters.outcomes() == ["adopted"]


def test_a_converged_run_asks_nothing_of_vbr(server: Memory) -> None:
    """It comes every ten minutes."""
    server.run()
    calls = len(server.fake_vbr.calls)
    server.run()

    assert len(server.fake_vbr.calls) == calls


def test_what_exists_is_adopted_whatever_its_name(server: Memory) -> None:
    """Somebody added it by hand, years ago."""
    server.fake_vbr.found = [
        Repository(
            id="r9", name="By hand", type="AmazonS3", region=REGION, bucket="vbr-tokyo", folder="VBR01"
        )
    ]
    result = server.run()

    assert result.exit_code == 0
    assert server.fake_vbr.added == []
    assert server.fake_vbr.keys == {}


def test_a_credential_and_a_folder_that_exist_are_used(server: Memory) -> None:
    """Another repository uses the same key; the folder was made by a run that was killed."""
    server.fake_vbr.keys["c7"] = (KEY, Secret("known to VBR"))
    server.fake_vbr.buckets["vbr-tokyo"].add("vbr01")
    server.secrets.values.clear()

    assert server.run().exit_code == 0
    assert server.fake_vbr.added[0].place.credential_id == "c7"


def test_another_servers_folder_is_taken_over_only_on_consent(server: Memory) -> None:
    """Two servers in one folder destroy each other's backups."""
    server.fake_vbr.buckets["vbr-tokyo"].add("vbr01")
    server.fake_vbr.owners["vbr-tokyo", "vbr01"] = "another server"
    refused = server.run()
    server.take_ownership = True
    consented = server.apply()

    assert isinstance(refused.problem, RepositoryError)
    assert "--take-ownership" in str(refused.problem)
    assert refused.exit_code == 23
    assert server.xml == DEFAULT.after
    assert consented.exit_code == 0
    assert [new.take_ownership for new in server.fake_vbr.added] == [False, True]


def test_a_failed_repository_is_reported_once_and_the_endpoint_stays_adopted(server: Memory) -> None:
    """The server follows the endpoint: the bucket may be locked; the check says what is missing."""
    server.fake_vbr.buckets.clear()
    results = [server.run() for _again in range(3)]
    failing = _checks(server)
    server.fake_vbr.buckets = {"vbr-tokyo": set()}
    healed = server.run()

    assert [result.exit_code for result in results] == [23, 23, 23]
    assert "no way to vbr-tokyo" in str(results[0].problem)
    assert failing["repository"] is False
    assert server.fake_services.restarts == 1
    assert healed.exit_code == 0
    assert _checks(server)["repository"] is True
    assert server.parameters.outcomes() == ["adopted", "adopted"]


def test_a_secret_that_is_missing_is_named(server: Memory) -> None:
    """What to do about it stands in the message."""
    server.secrets.values.clear()

    assert "secret set repository-tokyo" in str(server.run().problem)


@pytest.mark.parametrize(("wakes_up", "code"), [(True, 0), (False, 23)])
def test_an_offline_repository_gets_one_chance(server: Memory, wakes_up: bool, code: int) -> None:
    """Its state may be from before the restart; a rescan looks again."""
    server.fake_vbr.offline = {"Tokyo"}
    server.fake_vbr.wakes_up = {"Tokyo"} if wakes_up else set()

    assert server.run().exit_code == code
    assert server.fake_vbr.calls.count("rescan") == 1


def test_gateways_are_found_by_name(tmp_path: Path) -> None:
    """Gateway mode keeps small what must reach the endpoint."""
    server = _memory_server(tmp_path, 'gateway_servers = ["Gateway", "VBR01"]\n')
    server.run()

    assert server.fake_vbr.added[0].place.gateway_ids == ("m2", "m1")


def test_an_unknown_gateway_is_named_with_what_there_is(tmp_path: Path) -> None:
    """A typing error must not fall back to direct connections."""
    result = _memory_server(tmp_path, 'gateway_servers = ["gate"]\n').run()

    assert "VBR does not manage gate" in str(result.problem)
    assert "gateway, vbr01" in str(result.problem)


def test_immutability_is_as_the_document_says(server: Memory) -> None:
    """And an existing repository that differs is left, because only a person may change it."""
    bucket = {"name": "vbr-tokyo", "folder": "vbr01", "immutability_days": 14}
    server.parameters.publish(document(buckets=[bucket]))
    first = server.run()
    server.parameters.publish(document(buckets=[{**bucket, "immutability_days": 30}]))
    second = server.run()

    assert first.exit_code == 0
    assert server.fake_vbr.added[0].immutability_days == 14
    assert second.exit_code == 23
    assert "14 days" in str(second.problem)
    assert len(server.fake_vbr.added) == 1


def test_a_repository_of_another_kind_on_the_folder_is_left(server: Memory) -> None:
    """It can't be converted."""
    server.fake_vbr.found = [
        Repository(
            id="r9",
            name="Compatible",
            type="S3Compatible",
            region=REGION,
            bucket="vbr-tokyo",
            folder="vbr01",
            service_point="https://s3.example",
        )
    ]

    assert "can't be converted" in str(server.run().problem)


def test_each_bucket_becomes_a_repository_of_its_own(server: Memory) -> None:
    """Names must differ."""
    buckets = [{"name": name, "folder": "vbr01", "immutability_days": 0} for name in ("one-b", "two-b")]
    server.fake_vbr.buckets = {"one-b": set(), "two-b": set()}
    server.parameters.publish(document(buckets=buckets))

    assert server.run().exit_code == 0
    assert [new.name for new in server.fake_vbr.added] == ["Tokyo one-b", "Tokyo two-b"]


def test_without_auto_apply_a_missing_repository_waits(tmp_path: Path) -> None:
    """`run` says so, `apply` does it."""
    server = _memory_server(tmp_path, auto_apply=False)
    server.apply()
    server.fake_vbr.found.clear()
    server.parameters.publish(
        document(buckets=[{"name": "vbr-tokyo", "folder": "new", "immutability_days": 0}])
    )
    waiting = server.run()

    assert waiting.exit_code == 10
    assert [str(change) for change in waiting.changes] == ["repository Tokyo: absent -> vbr-tokyo/new"]
    assert server.apply().exit_code == 0


def test_vbr_that_is_down_is_no_news_for_a_server_that_has_adopted(server: Memory) -> None:
    """The next run looks again; the cloud needn't hear of it."""
    server.fake_vbr.buckets.clear()
    server.run()
    server.fake_vbr.is_up = lambda: False
    result = server.run()

    assert result.exit_code == 18
    assert server.parameters.outcomes() == ["adopted"]


def test_undo_leaves_the_repository(server: Memory) -> None:
    """Backups may be in it; nobody removes repositories but people."""
    server.run()
    server.undo()

    assert [one.name for one in server.fake_vbr.found] == ["Tokyo"]


def _points(folder: Path) -> int:
    heard: list[str] = []
    server = _memory_server(folder)
    server.on_change = lambda when, what: heard.append(f"{when} {what}")
    server.run()
    return len(heard)


def test_killed_anywhere_the_next_run_ends_with_one_repository(tmp_path: Path) -> None:
    """Before and after each changing call: one credential, one folder, one repository, jobs as before."""
    points = _points(tmp_path)
    for point in range(points):
        server = _memory_server(tmp_path)
        moments = iter(range(points))

        def kill(_when: str, _what: str, *, at: int = point, moments: object = moments) -> None:
            if next(moments) == at:  # type: ignore[call-overload]
                raise _Killed

        server.on_change = kill
        with pytest.raises(_Killed):
            server.run()
        server.on_change = None
        result = server.run()

        assert result.exit_code == 0, (point, result.problems)
        assert [one.name for one in server.fake_vbr.found] == ["Tokyo"], point
        assert len(server.fake_vbr.keys) == 1, point
        assert server.fake_vbr.job_states == {"j1": True, "j2": True, "off": False}, point
        assert not server.run().changed, point
    print(f"repository: killed at {points} points")

    assert points >= 50


@pytest.mark.parametrize("call", ["add_credential", "add_folder", "add_repository", "folders", "is_online"])
def test_no_call_for_the_repository_can_be_left_out_unnoticed(server: Memory, call: str) -> None:
    """Each is there for something."""
    vbr = server.fake_vbr
    stand_ins: dict[str, Callable[..., object]] = {
        "add_credential": lambda *_: "c1",
        "add_folder": lambda *_: None,
        "add_repository": lambda *_: "session",
        "folders": lambda *_: ("vbr01",),
        "is_online": lambda *_: True,
    }
    setattr(vbr, call, stand_ins[call])
    vbr.offline = {"Tokyo"} if call == "is_online" else set()
    result = server.run()

    assert (
        result.exit_code != 0
        or len(vbr.keys) != 1
        or vbr.browsed != 1
        or vbr.buckets != {"vbr-tokyo": {"vbr01"}}
        or bool(vbr.offline)
    )


def test_a_second_look_decides_when_the_answer_was_lost(server: Memory) -> None:
    """The connection broke after VBR had begun: what counts is what VBR lists."""
    add = server.fake_vbr.add_repository

    def lost(new: object) -> str:
        add(new)  # type: ignore[arg-type]
        server.fake_vbr._settle()
        raise VbrError("VBR gave no answer")

    server.fake_vbr.add_repository = lost  # type: ignore[method-assign]

    assert server.run().exit_code == 0
    assert len(server.fake_vbr.found) == 1


def test_a_secret_that_cannot_be_read_is_an_error_of_its_own(server: Memory) -> None:
    """Its code is another one than a repository's."""

    def unreadable(name: str) -> Secret | None:
        raise SecretError(f"{name} can be read by others")

    server.secrets.read = unreadable  # type: ignore[method-assign]
    result = server.run()

    assert isinstance(result.problem, ClientError)
    assert "can be read by others" in str(result.problem)


def test_a_name_that_is_taken_is_said(server: Memory) -> None:
    """Another bucket's repository has it."""
    other = Repository(id="r9", name="Tokyo", type="WinLocal")
    server.fake_vbr.found = [replace(other)]

    assert "already a repository named Tokyo" in str(server.run().problem)
