"""The region list and the registry: what the backup service reads at its start, and what it loses."""

import json

import pytest

from sandbox.vbr.regions import RegionList, RegionListError, default_file
from sandbox.vbr.registry import KEY
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3
from tests.sandbox.vbr.region_override import (
    ENDPOINT,
    edit_regions,
    endpoints,
    regions_file,
    set_registry_value,
)
from tests.sandbox.vbr.vbr_client import VbrClient, eventually, json_lines


def test_default_file_is_awkward() -> None:
    """An editor that normalizes the file must be caught, so the file has what gets normalized."""
    content = default_file()
    tokyo = RegionList.parse(content).find("ap-northeast-1")

    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\n") == content.count(b"\r\n") > 50
    assert b"<!--" in content.split(b'Id="ap-northeast-1"')[1].split(b"</Region>")[0]
    assert {region.type for region in RegionList.parse(content).regions} == {"Global", "China", "Government"}
    assert tokyo is not None
    assert tokyo.endpoints == (
        "s3.dualstack.ap-northeast-1.amazonaws.com",
        "s3.ap-northeast-1.amazonaws.com",
        "s3-ap-northeast-1.amazonaws.com",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<AmazonRegions>",
        b"<AmazonRegions/>",
        b'<R><Region Id="a" Type="Global"/><Region Id="a" Type="Global"/></R>',
        b'<R><Region Id="a"><Endpoint Type="S3"> </Endpoint></Region></R>',
        b'<R><Region Name="a"/></R>',
    ],
)
def test_unusable_region_list_is_refused(content: bytes) -> None:
    """A service that guesses would hide a broken edit."""
    with pytest.raises(RegionListError):
        RegionList.parse(content)


def test_registry_file_is_the_one_of_a_fresh_installation(client: VbrClient) -> None:
    """The client finds the install folder through it."""
    text = (client.vbr.folder / "registry.json").read_text()
    core_path = {"type": "REG_SZ", "value": str(client.vbr.install_dir)}

    assert json.loads(text) == {KEY: {"CorePath": core_path}}
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_override_without_the_registry_value_is_lost_at_restart(client: VbrClient) -> None:
    """The reason for CloudRegionsDisableUpdate: forget it, and the demo must fail."""
    edit_regions(client)
    client.restart()

    assert regions_file(client).read_bytes() == default_file()


@pytest.mark.parametrize(("value", "kind"), [(0, "REG_DWORD"), ("1", "REG_SZ"), (True, "REG_DWORD")])
def test_only_the_number_one_keeps_the_file(client: VbrClient, value: object, kind: str) -> None:
    """A value of the wrong type is no value."""
    set_registry_value(client, value, kind)
    edit_regions(client)
    client.restart()

    assert ENDPOINT not in endpoints(client)


def test_backups_use_the_override_only_after_a_restart(client: VbrClient, s3: InMemoryS3) -> None:
    """Skipping the restart is a mistake that must show."""
    assert client.add_repository()["result"] == "Success"
    set_registry_value(client)
    edit_regions(client)
    s3.used.clear()
    eventually(lambda: len(s3.used) > 6)
    before = {access.host for access in s3.used}
    client.restart()
    s3.used.clear()
    eventually(lambda: len(s3.used) > 6)

    assert ENDPOINT not in before
    assert len(before) == 3
    assert {access.host for access in s3.used} == {ENDPOINT}


def test_file_that_does_not_parse_keeps_the_service_down(client: VbrClient) -> None:
    """The operator must see why, and REST must not pretend that all is well."""
    set_registry_value(client)
    regions_file(client).write_bytes(b"<AmazonRegions><Region></AmazonRegions>")
    client.command("stop")
    eventually(lambda: bool(client.service()["state"] == "stopped"))
    client.command("start")
    eventually(lambda: bool(client.service()["state"] == "stopped"))

    assert "not well-formed" in client.service()["last_error"]
    assert client.service()["starts"] == 1
    assert client.log_in()[0] == 503


def test_upgrade_puts_its_own_list_in_place(client: VbrClient) -> None:
    """An upgrade overwrites the override even where the registry value is set."""
    set_registry_value(client)
    edit_regions(client)
    client.vbr.upgrade()

    assert regions_file(client).read_bytes() == default_file(upgraded=True)
    assert b"ap-northeast-3" in regions_file(client).read_bytes()


def test_leftover_public_endpoint_makes_backups_fail(client: VbrClient, s3: InMemoryS3) -> None:
    """One endpoint that was forgotten is enough: the real server may pick that one."""
    assert client.add_repository()["result"] == "Success"
    s3.refused_hosts = {host for host in endpoints(client) if host != ENDPOINT}
    set_registry_value(client)
    edit_regions(client, leave=1)
    client.restart()
    log = client.vbr.folder / "backups.jsonl"
    seen = len(json_lines(log))
    eventually(lambda: len(json_lines(log)) >= seen + 2)
    refused, taken = json_lines(log)[seen : seen + 2]
    job = "/api/v1/sessions?typeFilter=BackupJob&resultFilter=Failed&nameFilter=Backup to Tokyo"
    eventually(lambda: bool(client.get(job.replace(" ", "%20"))["data"]))
    failed = client.get(job.replace(" ", "%20"))["data"][0]["result"]["message"]

    assert (refused["ok"], taken["ok"], taken["endpoint"]) == (False, True, ENDPOINT)
    assert "explicit deny" in refused["error"]
    assert failed.startswith("s3.dualstack.ap-northeast-1.amazonaws.com: An error occurred (AccessDenied)")


def test_backups_write_into_the_veeam_folder(client: VbrClient, s3: InMemoryS3) -> None:
    """The proof of the manual procedure is that folder."""
    assert client.add_repository()["result"] == "Success"
    log = client.vbr.folder / "backups.jsonl"
    eventually(lambda: len(json_lines(log)) >= 3)
    first = json_lines(log)[0]

    assert set(first) == {"at", "repository", "endpoint", "bucket", "key", "ok", "error"}
    assert (first["repository"], first["bucket"], first["ok"], first["error"]) == (
        "Tokyo",
        "backups",
        True,
        None,
    )
    assert first["key"].startswith("Veeam/Backup/vbr01/")
    assert first["key"] in s3.objects["backups"]
