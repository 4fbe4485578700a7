"""
The whole flow in each REST revision, against the sandbox's stand-in: its service, its REST API, its requests.

What counts is what the stand-in says afterwards, not what the client says.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from onprem_client.client import Client
from onprem_client.configuration import load
from onprem_client.veeam.protocols import Vbr
from onprem_client.veeam.reach import reach
from onprem_client.windows import machine
from onprem_client.windows.protocols import Files, Registry, Services
from sandbox.certificates import SandboxCa
from sandbox.vbr.faults import Faults
from sandbox.vbr.revisions import REVISIONS
from sandbox.vbr.s3 import BucketProtection
from sandbox.vbr.stand_in import StandInVbr
from tests.client.region_files import HOST, REGION
from tests.client.server import FakeParameters, Watched, document
from tests.client.stand_in_vbr import HastyClock, stand_in_vbr
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3
from tests.sandbox.vbr.vbr_client import eventually, json_lines


class Site:
    """A stand-in, a client that is configured for it, and the cloud that it talks to."""

    def __init__(
        self, vbr: StandInVbr, ca: SandboxCa, folder: Path, *, more: str = "", repository: str = ""
    ) -> None:
        self.vbr = vbr
        self.killed_at: int | None = None
        self.folder = folder
        self.parameters = FakeParameters()
        self.parameters.publish(document())
        file = folder / "client.toml"
        file.write_text(
            f'strategy = "regions-file"\nserver = "vbr01"\nstate_folder = "state"\nauto_apply = true\n'
            f'[vbr]\nurl = "{vbr.url}"\nuser = "{vbr.user}"\nca_file = "{ca.file}"\nanswer_timeout = 180\n'
            f'drain_timeout = 60\nunseen_work = "accept"\n{more}'
            f'[[site]]\nname = "tokyo"\nregion = "{REGION}"\n{repository}'
            f'[stand_in]\nregistry_file = "{vbr.folder / "registry.json"}"\n'
            f'services_folder = "{vbr.folder / "services"}"\n'
        )
        self.configuration = load(file)

    def client(self, *, stop_running: bool = False) -> Client:
        """Start a new client, as each run of the scheduled task does."""
        configuration, clock = self.configuration, HastyClock()
        assert configuration.vbr is not None
        secrets = machine.secrets(configuration.state_folder)
        adapters = machine.machine(state_folder=configuration.state_folder, stand_in=configuration.stand_in)
        vbr = reach(configuration.vbr, secrets, clock, patience=configuration.vbr.answer_timeout)
        if self.killed_at is not None:
            kill = _kill_at(self.killed_at)
            vbr = cast("Vbr", Watched(vbr, kill))
            adapters = replace(
                adapters,
                registry=cast("Registry", Watched(adapters.registry, kill)),
                services=cast("Services", Watched(adapters.services, kill)),
                files=cast("Files", Watched(adapters.files, kill)),
            )
        return Client(
            configuration,
            adapters,
            lambda _region: self.parameters,
            clock,
            vbr=vbr,
            secrets=secrets,
            stop_running=stop_running,
        )

    def jobs(self) -> dict[str, bool]:
        return {job.name: job.enabled for job in self.vbr._server.jobs.all()}

    def service(self) -> dict[str, Any]:
        file = self.vbr.folder / "services" / "VeeamBackupSvc.json"
        return dict(json.loads(file.read_text()))

    def requests(self, method: str, path: str) -> list[dict[str, Any]]:
        return [
            line
            for line in json_lines(self.vbr.folder / "requests.jsonl")
            if line["method"] == method and path in line["path"]
        ]

    @property
    def xml(self) -> bytes:
        return (self.vbr.install_dir / "AmazonS3Regions.xml").read_bytes()


def _kill_at(point: int) -> Callable[[str, str], None]:
    moments = count()

    def on_change(_when: str, _what: str) -> None:
        if next(moments) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_change


@contextmanager
def _site(
    folder: Path,
    ca: SandboxCa,
    s3: InMemoryS3,
    monkeypatch: pytest.MonkeyPatch,
    *,
    more: str = "",
    repository: str = "",
    **vbr: Any,
) -> Iterator[Site]:
    with stand_in_vbr(folder / "vbr", ca, s3, **vbr) as stand_in:
        monkeypatch.setenv("VBR_PRIVATELINK_SECRET_VBR_PASSWORD", stand_in.password)
        monkeypatch.setenv("VBR_PRIVATELINK_SECRET_REPOSITORY_TOKYO", SECRET_KEY)
        yield Site(stand_in, ca, folder, more=more, repository=repository)


KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "the/secret+key/of/the/repository"
REPOSITORY = (
    f'[site.repository]\naccess_key_id = "{KEY}"\nname = "Tokyo"\n'
    'gateway_servers = ["VBR01.sandbox.example"]\n'
)


def _enabled(site: Site) -> bool:
    return site.jobs() == {"File server": True, "Old intranet": False, "Copy to the second site": True}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_server_adopts_and_goes_back_in_every_revision(
    tmp_path: Path, ca: SandboxCa, s3: InMemoryS3, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    """One restart each way; exactly the jobs that were enabled are enabled; tokens die with the service."""
    with _site(tmp_path, ca, s3, monkeypatch, revision=revision) as site:
        before, starts = site.xml, site.service()["starts"]
        result = site.client().run()
        adopted = site.xml
        again = site.client().run()
        undone = site.client().undo(lambda _result: True)
        disabled = {line["path"].split("/")[4] for line in site.requests("POST", "/disable")}
        enabled = {line["path"].split("/")[4] for line in site.requests("POST", "/enable")}

        assert (result.exit_code, again.exit_code, undone.exit_code) == (0, 0, 0), result.problems
        assert not again.changed
        assert HOST.encode() in adopted
        assert site.xml == before
        assert (site.service()["starts"], site.service()["state"]) == (starts + 2, "running")
        assert _enabled(site)
        assert disabled == enabled
        # Older revisions don't show the copy job, so it is neither disabled nor enabled.
        assert len(disabled) == (2 if revision >= "1.3" else 1)
        assert len(site.requests("POST", "/configBackup/backup")) == 2
        assert {line["headers"]["x-api-version"] for line in site.requests("GET", "/jobs/states")} == {
            revision
        }
        report = json.loads(site.parameters.puts[0][1])
        assert report["vbr_version"] == f"{REVISIONS[revision].product}.1000"
        assert [json.loads(value)["outcome"] for _name, value in site.parameters.puts] == [
            "adopted",
            "reverted",
        ]


def test_vbr_answering_503_for_a_while_is_waited_for(
    tmp_path: Path, ca: SandboxCa, s3: InMemoryS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the restart it does so for a minute; the client's clock is fast here, the waiting the same."""
    with _site(tmp_path, ca, s3, monkeypatch, rest_delay=0.4) as site:
        result = site.client().run()

        assert result.exit_code == 0, result.problems
        assert _enabled(site)
        assert [line for line in json_lines(site.vbr.folder / "requests.jsonl") if line["status"] == 503]


def test_a_job_that_never_drains_leaves_everything_as_it_was(
    tmp_path: Path, ca: SandboxCa, s3: InMemoryS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with consent it is stopped: with grace, which it ignores, then without."""
    with _site(
        tmp_path, ca, s3, monkeypatch, backup_interval=0.02, more="[service]\nstop_timeout = 20\n"
    ) as site:
        site.vbr.inject(Faults(endless_jobs=("File server",)))
        before, starts = site.xml, site.service()["starts"]
        while not [each for each in site.vbr._server.sessions.newest_first() if each.name == "File server"]:
            pass
        result = site.client().run()
        as_before = (site.xml, site.service()["starts"], _enabled(site)) == (before, starts, True)
        consented = site.client(stop_running=True).run()

        assert result.exit_code == 19, result.problems
        assert as_before
        assert consented.exit_code == 0, consented.problems
        assert _enabled(site)
        assert [line["body"] for line in site.requests("POST", "/stop")] == [
            {"gracefulStop": True},
            {"gracefulStop": False},
        ]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Faults(failing_sessions=("ConfigurationBackup",)), 4),
        (Faults(start_fails="the database is down"), 5),
        (Faults(stop_never_finishes=True), 5),
        (Faults(token_lifetime=0.0), 18),
    ],
    ids=["configuration backup fails", "service won't start", "service won't stop", "tokens never work"],
)
def test_after_a_fault_the_next_run_ends_well(
    tmp_path: Path,
    ca: SandboxCa,
    s3: InMemoryS3,
    monkeypatch: pytest.MonkeyPatch,
    fault: Faults,
    code: int,
) -> None:
    """A clear exit code; and when the fault is over, service, file and jobs are as they should be."""
    with _site(
        tmp_path, ca, s3, monkeypatch, more="[service]\nstop_timeout = 30\nstart_timeout = 100\n"
    ) as site:
        site.vbr.inject(fault)
        result = site.client().run()
        site.vbr.inject(Faults())
        healed = site.client().run()

        assert result.exit_code == code, result.problems
        assert healed.exit_code == 0, healed.problems
        assert HOST.encode() in site.xml
        assert site.service()["state"] == "running"
        assert _enabled(site)


def test_a_token_that_ends_while_work_drains_is_replaced(
    tmp_path: Path, ca: SandboxCa, s3: InMemoryS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifteen minutes are over before a night's backups are."""
    with _site(tmp_path, ca, s3, monkeypatch, token_lifetime=0.15) as site:
        result = site.client().run()

        assert result.exit_code == 0, result.problems
        assert _enabled(site)


def test_after_an_upgrade_the_endpoint_goes_into_the_new_file(
    tmp_path: Path, ca: SandboxCa, s3: InMemoryS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upgrade's new region stays, the endpoint comes back, and the reason is said."""
    with _site(tmp_path, ca, s3, monkeypatch) as site:
        site.client().run()
        site.vbr.upgrade()
        upgraded = site.xml
        result = site.client().run()

        assert result.exit_code == 0, result.problems
        assert HOST.encode() not in upgraded
        assert HOST.encode() in site.xml
        assert b"ap-northeast-3" in site.xml
        assert "an upgrade of VBR" in str(result.wishes[0].note)
        assert _enabled(site)


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_repository_is_added_through_the_endpoint_in_every_revision(
    tmp_path: Path, ca: SandboxCa, s3: InMemoryS3, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    """From the restart to the first backup; what was sent is spelled as the revision spells it."""
    s3.protections["vbr-tokyo"] = BucketProtection(versioning=True, object_lock=True, default_retention=False)
    buckets = [{"name": "vbr-tokyo", "folder": "vbr01", "immutability_days": 14}]
    with _site(
        tmp_path,
        ca,
        s3,
        monkeypatch,
        repository=REPOSITORY,
        revision=revision,
        backup_interval=0.3,
        folder_must_exist=True,
    ) as site:
        site.parameters.publish(document(buckets=buckets))
        result = site.client().run()
        before = len(site.requests("POST", ""))
        again = site.client().run()
        eventually(lambda: bool(s3.retained))
        sent = site.requests("POST", "/backupInfrastructure/repositories")
        body, log = sent[0]["body"], (site.vbr.folder / "requests.jsonl").read_text()

        assert (result.exit_code, again.exit_code) == (0, 0), result.problems
        assert len(sent) == 1
        assert not again.changed
        assert len(site.requests("POST", "")) == before
        assert {access.host for access in s3.used} == {HOST}
        assert {(access.access_key, access.secret_key) for access in s3.used} == {(KEY, SECRET_KEY)}
        assert all(key.startswith("Veeam/Backup/vbr01/") for key in s3.objects["vbr-tokyo"])
        assert body["account"]["regionType"] == "Global"
        assert body["account"]["connectionSettings"]["connectionType"] == "SelectedGateway"
        assert body["bucket"] == {
            "bucketName": "vbr-tokyo",
            "folderName": "vbr01",
            "regionId": REGION,
            "immutability": {"isEnabled": True, "daysCount": 14},
        }
        assert _mount_server_is_right(body, revision)
        assert "overwriteOwner" not in sent[0]["path"]
        assert [line["path"] for line in site.requests("POST", "/cloudBrowser")] == [
            "/api/v1/cloudBrowser" + ("?resetCache=true" if revision > "1.1-rev0" else ""),
            "/api/v1/cloudBrowser/newFolder",
        ]
        assert SECRET_KEY not in log
        assert _enabled_with_ours(site)


def _mount_server_is_right(body: dict[str, Any], revision: str) -> bool:
    """Look for the default mount server, in the form of the revision."""
    sent = body.get("mountServer")
    if revision == "1.3-rev2":
        return sent is None
    if revision < "1.3":
        return sent is not None and set(sent) == {"mountServerId", "writeCacheFolder", "vPowerNFSEnabled"}
    kind = "windows" if revision == "1.3-rev0" else "Windows"
    return sent is not None and sent["mountServerSettingsType"] == kind and "windows" in sent


def _enabled_with_ours(site: Site) -> bool:
    return site.jobs() == {
        "File server": True,
        "Old intranet": False,
        "Copy to the second site": True,
        "Backup to Tokyo": True,
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_real_kill_between_real_calls(
    tmp_path: Path, ca: SandboxCa, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL at moments spread over the run, REST included; afterwards there is one of everything."""
    killed = 0
    for point in range(2, 200, 9):
        folder = tmp_path / str(point)
        folder.mkdir()
        fresh = InMemoryS3(objects={"vbr-tokyo": {}})
        with _site(folder, ca, fresh, monkeypatch, repository=REPOSITORY) as site:
            child = os.fork()
            if child == 0:
                site.killed_at = point
                site.client().run()
                os._exit(0)
            _pid, status = os.waitpid(child, 0)
            result = site.client().run()
            names = [one.name for one in site.vbr._server.repositories.all()]

            assert result.exit_code == 0, (point, result.problems)
            assert HOST.encode() in site.xml, point
            assert site.service()["state"] == "running", point
            assert _enabled_with_ours(site), point
            assert names == ["Default Backup Repository", "Tokyo"], point
            assert len(site.vbr._server.credentials.all()) == 1, point
            assert not site.client().run().changed, point
        if not os.WIFSIGNALED(status):
            break
        killed += 1
    print(f"with REST: killed at {killed} points")

    assert killed >= 5
