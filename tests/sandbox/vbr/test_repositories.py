"""Credentials, the browser and repositories, in the default revision."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.vbr.s3 import BucketProtection
from tests.sandbox.vbr.conftest import StartVbr
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3
from tests.sandbox.vbr.region_override import ENDPOINT, endpoints
from tests.sandbox.vbr.vbr_client import REGION, SECRET_KEY, VbrClient, eventually

REPOSITORIES = "/api/v1/backupInfrastructure/repositories"


def _browse(credential: str, **changes: Any) -> dict[str, Any]:
    return {
        "credentialsId": credential,
        "serviceType": "AmazonS3",
        "regionType": "Global",
        "filters": {"regionId": REGION, "bucketName": "backups"},
        **changes,
    }


def test_repository_exists_when_its_session_has_succeeded(start_vbr: StartVbr, s3: InMemoryS3) -> None:
    """The 201 is only the beginning."""
    client = start_vbr(session_duration=0.6)
    session = client.post(REPOSITORIES, client.repository_body())
    at_first = client.get(f"{REPOSITORIES}?nameFilter=Tokyo")["data"]
    result = client.finished(session)
    found = client.get(f"{REPOSITORIES}?nameFilter=tok*")["data"]
    state = client.get(f"{REPOSITORIES}/states?nameFilter=Tokyo")["data"][0]

    assert session["state"] != "Stopped"
    assert session["result"]["result"] == "None"
    assert at_first == []
    assert result == {"result": "Success", "message": "", "isCanceled": False}
    assert found[0]["bucket"]["bucketName"] == "backups"
    assert state["isOnline"] is True
    assert {(access.access_key, access.secret_key) for access in s3.used} == {("AKIAEXAMPLE", SECRET_KEY)}


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_repository_session_fails_when_any_endpoint_refuses(
    client: VbrClient, s3: InMemoryS3, refused: int
) -> None:
    """Through each endpoint of the list, with S3's own words."""
    s3.refused_hosts = {endpoints(client)[refused]}
    result = client.add_repository()

    assert result["result"] == "Failed"
    assert result["message"].startswith(f"{endpoints(client)[refused]}: An error occurred (AccessDenied)")
    assert client.get(f"{REPOSITORIES}?nameFilter=Tokyo")["data"] == []


def test_repository_session_fails_without_the_bucket(client: VbrClient, s3: InMemoryS3) -> None:
    """VBR creates folders, never buckets."""
    s3.objects.clear()

    assert "NoSuchBucket" in client.add_repository()["message"]


@pytest.mark.parametrize("field", ["name", "description", "type", "account", "bucket", "mountServer"])
def test_required_property_of_a_repository_is_missed(client: VbrClient, field: str) -> None:
    """The request must be right for the revision."""
    body = client.repository_body()
    del body[field]
    status, document = client.send("POST", REPOSITORIES, body=body)

    assert status == 400
    assert field in document["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"immutabilityMode": "x"},
        {"tag": "of 1.1-rev0"},
        {"importBackup": True},
        {"taskLimitEnabled": "yes"},
        {"maxTaskCount": 0},
        {"name": ""},
        {"type": "amazonS3"},
        {"mountServer": {"mountServerSettingsType": "windows"}},
        {"bucket": {"regionId": REGION, "bucketName": "backups", "folderName": "a/b"}},
    ],
)
def test_property_of_another_revision_or_shape_is_refused(
    client: VbrClient, changes: dict[str, object]
) -> None:
    """Sending more than the revision knows is a mistake, too."""
    assert client.send("POST", REPOSITORIES, body=client.repository_body(**changes))[0] == 400


def test_unknown_credential_gateway_and_mount_server_are_refused(client: VbrClient) -> None:
    """Ids are looked up, not believed."""
    nobody = "00000000-0000-0000-0000-000000000001"
    direct = {"connectionType": "Direct"}
    gateway = {"connectionType": "SelectedGateway", "gatewayServerIds": [nobody]}
    account = {"credentialsId": client.add_credential(), "regionType": "Global"}
    mount_server = {**client.mount_server(), "mountServerId": nobody}

    for changes in (
        {"account": {**account, "credentialsId": nobody, "connectionSettings": direct}},
        {"account": {**account, "connectionSettings": gateway}},
        {"mountServer": mount_server},
    ):
        assert client.send("POST", REPOSITORIES, body=client.repository_body(**changes))[0] == 404


def test_repository_through_the_gateway_server_is_taken(client: VbrClient) -> None:
    """Gateway mode is what the documentation recommends."""
    server = client.get("/api/v1/backupInfrastructure/managedServers")["data"][0]["id"]
    connection = {"connectionType": "SelectedGateway", "gatewayServerIds": [server]}
    account = {
        "credentialsId": client.add_credential(),
        "regionType": "Global",
        "connectionSettings": connection,
    }

    assert client.add_repository(account=account)["result"] == "Success"


def test_second_repository_of_a_name_is_refused(client: VbrClient) -> None:
    """An idempotent client looks before it adds."""
    client.add_repository()

    assert client.send("POST", REPOSITORIES, body=client.repository_body())[0] == 400


def test_folder_of_another_server_is_taken_over_only_on_request(client: VbrClient, s3: InMemoryS3) -> None:
    """Two servers in one folder destroy each other's backups."""
    s3.objects["backups"]["Veeam/Backup/vbr01/stand-in-owner"] = b"another server"
    refused = client.add_repository()
    session = client.post(f"{REPOSITORIES}?overwriteOwner=true", client.repository_body())

    assert "another backup server" in refused["message"]
    assert client.finished(session)["result"] == "Success"


def test_s3_compatible_repository_uses_its_service_point_only(client: VbrClient, s3: InMemoryS3) -> None:
    """The strategy without the file edit."""
    account = {
        "servicePoint": f"https://{ENDPOINT}",
        "regionId": REGION,
        "credentialsId": client.add_credential(),
        "connectionSettings": {"connectionType": "Direct"},
    }
    bucket = {"bucketName": "backups", "folderName": "vbr01"}
    result = client.add_repository(type="S3Compatible", account=account, bucket=bucket)

    assert result["result"] == "Success"
    assert {access.host for access in s3.used} == {ENDPOINT}
    assert {access.region for access in s3.used} == {REGION}


@pytest.mark.parametrize(
    ("protection", "message"),
    [
        ((True, True, False), ""),
        ((True, False, False), "needs versioning and Object Lock"),
        ((True, True, True), "no default retention"),
    ],
)
def test_immutability_needs_a_bucket_that_can_do_it(
    client: VbrClient, s3: InMemoryS3, protection: tuple[bool, bool, bool], message: str
) -> None:
    """Backups then carry their own retention."""
    versioning, object_lock, default_retention = protection
    s3.protections["backups"] = BucketProtection(
        versioning=versioning, object_lock=object_lock, default_retention=default_retention
    )
    bucket = {
        "regionId": REGION,
        "bucketName": "backups",
        "folderName": "vbr01",
        "immutability": {"isEnabled": True, "daysCount": 7},
    }
    result = client.add_repository(bucket=bucket)

    assert message in result["message"]
    assert result["result"] == ("Failed" if message else "Success")
    if not message:
        eventually(lambda: bool(s3.retained))
        until = next(iter(s3.retained.values()))
        assert timedelta(days=6.9) < until - datetime.now(UTC) <= timedelta(days=7)


def test_browser_answers_from_its_memory_unless_told_otherwise(client: VbrClient, s3: InMemoryS3) -> None:
    """A connectivity test without the reset proves nothing."""
    body = _browse(client.add_credential())
    first = client.post("/api/v1/cloudBrowser", body)
    s3.refused_hosts = set(endpoints(client))
    remembered = client.post("/api/v1/cloudBrowser", body)
    status, refused = client.send("POST", "/api/v1/cloudBrowser?resetCache=true", body=body)

    assert first["regions"][0]["buckets"] == [{"name": "backups", "folders": []}]
    assert remembered == first
    assert status == 400
    assert "AccessDenied" in refused["message"]


def test_browser_shows_regions_buckets_and_new_folders(client: VbrClient, s3: InMemoryS3) -> None:
    """The wizard's way to the folder."""
    s3.objects["others"] = {}
    credential = client.add_credential()
    china = client.post("/api/v1/cloudBrowser", _browse(credential, regionType="China", filters={}))
    folder = {
        "credentialsId": credential,
        "serviceType": "AmazonS3",
        "newFolderName": "vbr01",
        "regionType": "Global",
        "regionId": REGION,
        "bucketName": "backups",
    }
    made = client.send("POST", "/api/v1/cloudBrowser/newFolder", body=folder)
    again = client.send("POST", "/api/v1/cloudBrowser/newFolder", body=folder)
    everything = client.post("/api/v1/cloudBrowser", _browse(credential, filters={"regionId": REGION}))

    assert [region["id"] for region in china["regions"]] == ["cn-north-1"]
    assert made == (201, None)
    assert again[0] == 400
    assert everything["regions"][0]["buckets"] == [
        {"name": "backups", "folders": ["vbr01"]},
        {"name": "others", "folders": []},
    ]


def test_browser_knows_s3_compatible_storage(client: VbrClient) -> None:
    """Its question says servicePoint, its answer connectionPoint."""
    body = {
        "credentialsId": client.add_credential(),
        "serviceType": "S3Compatible",
        "servicePoint": ENDPOINT,
        "regionId": REGION,
    }
    answer = client.post("/api/v1/cloudBrowser", body)

    assert answer["connectionPoint"] == ENDPOINT
    assert answer["regions"][0]["buckets"] == [{"name": "backups", "folders": []}]


def test_missing_folder_can_be_made_an_error(start_vbr: StartVbr) -> None:
    """Whether the real server makes it is unknown."""
    client = start_vbr(folder_must_exist=True)

    assert "no folder vbr01" in client.add_repository()["message"]


def test_changed_secret_is_used_by_the_next_backup(client: VbrClient, s3: InMemoryS3) -> None:
    """Keys are rotated without a restart."""
    body = client.repository_body()
    assert client.finished(client.post(REPOSITORIES, body))["result"] == "Success"
    credential = body["account"]["credentialsId"]
    status, changed = client.send(
        "POST", f"/api/v1/cloudCredentials/{credential}/changeSecretKey", body={"newSecretKey": "rotated-key"}
    )
    eventually(lambda: s3.used[-1].secret_key == "rotated-key")

    assert status == 201
    assert "secretKey" not in changed
    assert client.get("/api/v1/cloudCredentials")["data"][0]["accessKey"] == "AKIAEXAMPLE"


def test_rescan_finds_a_repository_that_went_away(client: VbrClient, s3: InMemoryS3) -> None:
    """States are as true as the latest look at the bucket."""
    client.add_repository()
    repository = client.get(f"{REPOSITORIES}?nameFilter=Tokyo")["data"][0]["id"]
    s3.objects.clear()
    session = client.post(f"{REPOSITORIES}/rescan", {"repositoryIds": [repository]})

    assert client.finished(session)["result"] == "Failed"
    assert client.get(f"{REPOSITORIES}/states?nameFilter=Tokyo")["data"][0]["isOnline"] is False
