"""Each revision spells, requires and answers its own way."""

import pytest

from sandbox.vbr.revisions import REVISIONS
from tests.sandbox.vbr.conftest import StartVbr

REPOSITORIES = "/api/v1/backupInfrastructure/repositories"


def test_table_has_every_revision_once() -> None:
    """12.0 to 13.1."""
    assert list(REVISIONS) == [
        "1.1-rev0",
        "1.1-rev1",
        "1.1-rev2",
        "1.2-rev0",
        "1.2-rev1",
        "1.3-rev0",
        "1.3-rev1",
        "1.3-rev2",
    ]


@pytest.mark.parametrize("revision", list(REVISIONS))
def test_whole_flow_in_each_revision(start_vbr: StartVbr, revision: str) -> None:
    """One client, eight servers: what differs is in the table and nowhere else."""
    client = start_vbr(revision=revision)
    row = REVISIONS[revision]
    info = client.get("/api/v1/serverInfo")
    result = client.add_repository(**{row.task_limit: True, "maxTaskCount": 2})
    credential = client.get("/api/v1/cloudCredentials")["data"][0]
    state = client.get(f"{REPOSITORIES}/states?nameFilter=Tokyo")["data"][0]
    job = client.get("/api/v1/jobs/states?nameFilter=File*")["data"][0]
    switched, _ = client.send("POST", f"/api/v1/jobs/{job['id']}/disable")
    disabled = client.get(f"/api/v1/jobs/states?statusFilter={row.job_statuses['disabled']}")["data"]
    session = client.get("/api/v1/sessions?limit=1")["data"][0]
    secret, _ = client.send(
        "POST",
        f"/api/v1/cloudCredentials/{credential['id']}/changeSecretKey",
        body={"newSecretKey": "new-secret"},
    )
    rescan, _ = client.send("POST", f"{REPOSITORIES}/rescan", body={"repositoryIds": [state["id"]]})

    assert result["result"] == "Success"
    assert info["buildVersion"].startswith(row.product)
    assert ("platform" in info) == (revision >= "1.3")
    assert row.unique_id in credential
    assert ("lastModified" in credential) == (revision >= "1.3")
    assert ("isOnline" in state) == (revision > "1.1-rev0")
    assert ("isOutOfDate" in state) == (revision >= "1.3")
    assert job["type"] == ("VSphereBackup" if revision >= "1.3" else "Backup")
    assert switched == (204 if revision >= "1.3-rev1" else 200)
    assert {each["name"] for each in disabled} == {"File server", "Old intranet"}
    assert ("activityId" in session, "jobId" in session) == (revision == "1.1-rev0", revision != "1.1-rev0")
    assert secret == (200 if revision >= "1.3" else 201)
    assert rescan == (405 if revision == "1.1-rev0" else 201)


@pytest.mark.parametrize(
    ("revision", "changes"),
    [
        ("1.1-rev0", {"taskLimitEnabled": True}),
        ("1.1-rev0", {"uniqueId": "a"}),
        ("1.3-rev0", {"mountServer": None}),
        ("1.3-rev0", {"mountServer": {"mountServerSettingsType": "Windows"}}),
        ("1.3-rev0", {"mountServer": {"mountServerSettingsType": "windows"}}),
        ("1.3-rev2", {"uniqueId": "not a UUID"}),
    ],
)
def test_spelling_of_a_neighbour_is_refused(
    start_vbr: StartVbr, revision: str, changes: dict[str, object]
) -> None:
    """Near misses are the likely mistakes."""
    client = start_vbr(revision=revision)

    assert client.send("POST", REPOSITORIES, body=client.repository_body(**changes))[0] == 400


def test_mount_server_may_be_left_out_in_the_newest_revision(start_vbr: StartVbr) -> None:
    """It is required in every other one."""
    client = start_vbr(revision="1.3-rev2")
    body = client.repository_body()
    del body["mountServer"]

    assert client.send("POST", REPOSITORIES, body=body)[0] == 201


@pytest.mark.parametrize(("revision", "wrong"), [("1.3-rev0", "Password"), ("1.3-rev1", "password")])
def test_grant_is_spelled_as_the_revision_wants(start_vbr: StartVbr, revision: str, wrong: str) -> None:
    """The login is the first thing to fail after an upgrade."""
    client = start_vbr(revision=revision)
    form = {"grant_type": wrong, "username": client.vbr.user, "password": client.vbr.password}

    assert client.send("POST", "/api/oauth2/token", form=form)[0] == 400


def test_graceful_stop_has_two_l_in_the_oldest_revision(start_vbr: StartVbr) -> None:
    """A slip that was published and has to be followed."""
    client = start_vbr(revision="1.1-rev0")
    job = client.get("/api/v1/jobs/states")["data"][0]["id"]
    _, refused = client.send("POST", f"/api/v1/jobs/{job}/stop", body={"gracefulStop": True})

    assert "gracefullStop is required" in refused["message"]


def test_the_appliance_has_no_region_file_and_says_what_it_is(start_vbr: StartVbr) -> None:
    """There is nothing to edit there: a client must go by REST alone."""
    client = start_vbr(revision="1.3-rev1", platform="Linux")
    mount_server = client.get("/api/v1/backupInfrastructure/mountServers/default")["data"][0]

    assert client.get("/api/v1/serverInfo")["platform"] == "Linux"
    assert mount_server["type"] == "Linux"
    assert not client.vbr.install_dir.exists()
    assert not (client.vbr.folder / "registry.json").exists()
    assert client.service()["state"] == "running"
