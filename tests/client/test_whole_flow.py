"""
The whole flow in each REST revision, against the sandbox's stand-in: its service, its REST API, its requests.

What counts is what the stand-in says afterwards, not what the client says.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from onprem_client.client import Client
from onprem_client.configuration import load
from onprem_client.veeam.reach import reach
from onprem_client.windows import machine
from sandbox.certificates import SandboxCa
from sandbox.vbr.faults import Faults
from sandbox.vbr.revisions import REVISIONS
from sandbox.vbr.stand_in import StandInVbr
from tests.client.region_files import HOST, REGION
from tests.client.server import FakeParameters, document
from tests.client.stand_in_vbr import HastyClock, stand_in_vbr
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3
from tests.sandbox.vbr.vbr_client import json_lines


class Site:
    """A stand-in, a client that is configured for it, and the cloud that it talks to."""

    def __init__(self, vbr: StandInVbr, ca: SandboxCa, folder: Path, *, more: str = "") -> None:
        self.vbr = vbr
        self.folder = folder
        self.parameters = FakeParameters()
        self.parameters.publish(document())
        file = folder / "client.toml"
        file.write_text(
            f'strategy = "regions-file"\nserver = "vbr01"\nstate_folder = "state"\nauto_apply = true\n'
            f'[vbr]\nurl = "{vbr.url}"\nuser = "{vbr.user}"\nca_file = "{ca.file}"\nanswer_timeout = 180\n'
            f'drain_timeout = 60\nunseen_work = "accept"\n{more}'
            f'[[site]]\nname = "tokyo"\nregion = "{REGION}"\n'
            f'[stand_in]\nregistry_file = "{vbr.folder / "registry.json"}"\n'
            f'services_folder = "{vbr.folder / "services"}"\n'
        )
        self.configuration = load(file)

    def client(self, *, stop_running: bool = False) -> Client:
        """Start a new client, as each run of the scheduled task does."""
        configuration, clock = self.configuration, HastyClock()
        assert configuration.vbr is not None
        return Client(
            configuration,
            machine.machine(state_folder=configuration.state_folder, stand_in=configuration.stand_in),
            lambda _region: self.parameters,
            clock,
            vbr=reach(
                configuration.vbr,
                machine.secrets(configuration.state_folder),
                clock,
                patience=configuration.vbr.answer_timeout,
            ),
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


@contextmanager
def _site(
    folder: Path,
    ca: SandboxCa,
    s3: InMemoryS3,
    monkeypatch: pytest.MonkeyPatch,
    *,
    more: str = "",
    **vbr: Any,
) -> Iterator[Site]:
    with stand_in_vbr(folder / "vbr", ca, s3, **vbr) as stand_in:
        monkeypatch.setenv("VBR_PRIVATELINK_SECRET_VBR_PASSWORD", stand_in.password)
        yield Site(stand_in, ca, folder, more=more)


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
    with _site(tmp_path, ca, s3, monkeypatch, backup_interval=0.02) as site:
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
