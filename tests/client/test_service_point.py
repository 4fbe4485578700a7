"""
The strategy `service-point`: repositories by REST alone, from any host, on the Linux appliance too.

In memory for the decisions, and against the stand-in, which has no region file to edit there.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from onprem_client.configuration import load
from onprem_client.errors import ManualStepsError, NotPublishedError
from onprem_client.result import Result
from onprem_client.secret import Secret, repository_secret
from onprem_client.service_point import ServicePointClient
from onprem_client.veeam.protocols import Vbr
from onprem_client.windows.protocols import Files
from sandbox.certificates import SandboxCa
from sandbox.vbr.revisions import REVISIONS
from tests.client.fake_vbr import INFO, FakeVbr
from tests.client.region_files import ENDPOINT_ID, HOST, REGION
from tests.client.server import (
    SITE,
    VBR,
    FakeClock,
    FakeFiles,
    FakeLock,
    FakeParameters,
    FakeSecrets,
    Watched,
    document,
)
from tests.client.stand_in_vbr import HastyClock, stand_in_vbr, vbr_of
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3
from tests.sandbox.vbr.vbr_client import json_lines

OTHER_ID = "vpce-00000000000000001"
OTHER_HOST = HOST.replace(ENDPOINT_ID, OTHER_ID)
KEY = "AKIAIOSFODNN7EXAMPLE"


class Remote:
    """A client on some host, for a VBR server elsewhere."""

    def __init__(self, folder: Path, vbr: Vbr, *, auto_apply: bool = True) -> None:
        self.vbr = vbr
        self.watch: Callable[[str, str], None] | None = None
        self.files = FakeFiles()
        self.parameters = FakeParameters()
        self.parameters.publish(document())
        self.secrets = FakeSecrets()
        self.secrets.values[repository_secret(SITE)] = Secret("the/secret+key")
        self.clock: FakeClock | HastyClock = FakeClock()
        file = folder / "client.toml"
        file.write_text(
            f'strategy = "service-point"\nserver = "vbr01"\nstate_folder = "state"\n'
            f"auto_apply = {str(auto_apply).lower()}\n{VBR}"
            f'[[site]]\nname = "{SITE}"\nregion = "{REGION}"\n'
            f'[site.repository]\naccess_key_id = "{KEY}"\nname = "Tokyo"\n'
        )
        self.configuration = load(file)

    def client(self) -> ServicePointClient:
        files, vbr = cast("Files", self.files), self.vbr
        if self.watch is not None:
            files, vbr = cast("Files", Watched(files, self.watch)), cast("Vbr", Watched(vbr, self.watch))
        return ServicePointClient(
            self.configuration,
            lambda _region: self.parameters,
            self.clock,
            files=files,
            lock=FakeLock(),
            vbr=vbr,
            secrets=self.secrets,
        )

    def run(self) -> Result:
        return self.client().run()

    def apply(self) -> Result:
        return self.client().apply(lambda _result: True)

    def undo(self) -> Result:
        return self.client().undo(lambda _result: True)


@pytest.fixture(name="vbr")
def _vbr() -> FakeVbr:
    vbr = FakeVbr()
    vbr.server = replace(INFO, linux=True)
    return vbr


@pytest.fixture(name="remote")
def _remote(tmp_path: Path, vbr: FakeVbr) -> Remote:
    return Remote(tmp_path, vbr)


def test_the_repository_is_added_once_and_reported(remote: Remote, vbr: FakeVbr) -> None:
    """The second run has nothing to do and does not sign in."""
    planned = remote.client().plan()
    first = remote.run()
    calls = len(vbr.calls)
    second = remote.run()
    (new,) = vbr.added

    assert planned.exit_code == 10
    assert [str(change) for change in planned.changes] == [
        f"repository Tokyo: absent -> vbr-tokyo/vbr01 through {HOST}"
    ]
    assert not planned.restarts
    assert (first.exit_code, first.changed) == (0, True)
    assert (second.exit_code, second.changed, len(vbr.calls)) == (0, False, calls)
    assert new.place.service_point == HOST
    assert remote.parameters.outcomes() == ["adopted"]
    assert json.loads(remote.parameters.puts[0][1])["vbr_version"] == "13.0.1.1000"
    assert remote.client().plan().exit_code == 0


def test_nothing_but_the_repository_is_touched(remote: Remote, vbr: FakeVbr) -> None:
    """No job is disabled, nothing is backed up or drained: nothing is restarted."""
    remote.run()

    assert not {"disable_job", "enable_job", "back_up_configuration", "work"} & set(vbr.calls)


def test_another_endpoint_needs_a_person(remote: Remote, vbr: FakeVbr) -> None:
    """A repository isn't changed by this program: the steps are listed, the outcome is failed."""
    remote.run()
    remote.parameters.publish(document(vpc_endpoint_id=OTHER_ID, endpoint_host=OTHER_HOST))
    planned, first, second = remote.client().plan(), remote.run(), remote.run()
    vbr.found = [replace(vbr.found[0], service_point=f"https://{OTHER_HOST.upper()}:443/")]
    done = remote.run()

    assert isinstance(first.problems[0], ManualStepsError)
    assert (planned.exit_code, first.exit_code, second.exit_code) == (24, 24, 24)
    assert "1. disable the jobs of Tokyo" in str(planned.problems[0])
    assert OTHER_HOST in str(planned.problems[0])
    assert len(vbr.added) == 1
    assert done.exit_code == 0
    assert remote.parameters.outcomes() == ["adopted", "failed", "adopted"]


def test_withdrawn_needs_a_person_and_then_is_reverted(remote: Remote, vbr: FakeVbr) -> None:
    """The cloud deletes the endpoint only after `reverted`: not before the repository is gone."""
    remote.run()
    remote.parameters.publish(document(state="withdrawn"))
    first, second = remote.run(), remote.run()
    vbr.found.clear()
    done = remote.run()
    calls = len(vbr.calls)
    again = remote.run()

    assert (first.exit_code, second.exit_code, done.exit_code, again.exit_code) == (24, 24, 0, 0)
    assert "the endpoint is withdrawn" in str(first.problems[0])
    assert len(vbr.calls) == calls
    assert remote.parameters.outcomes() == ["adopted", "failed", "reverted"]


def test_a_server_that_never_adopted_is_reverted_at_once(remote: Remote) -> None:
    """Otherwise the release would wait for it."""
    remote.parameters.publish(document(state="withdrawn"))

    assert remote.run().exit_code == 0
    assert remote.parameters.outcomes() == ["reverted"]


def test_undo_holds_the_site_and_lists_the_steps(remote: Remote, vbr: FakeVbr) -> None:
    """It works without the cloud; nothing is removed, and nothing comes back by itself."""
    remote.run()
    remote.parameters.unreachable = True
    undone, again = remote.undo(), remote.undo()
    remote.parameters.unreachable = False
    vbr.found.clear()
    clean, held = remote.undo(), remote.run()
    resumed = remote.apply()

    assert (undone.exit_code, again.exit_code, clean.exit_code) == (24, 24, 0)
    assert (undone.changed, again.changed) == (True, False)
    assert "undo, and a repository is never removed" in str(undone.problems[0])
    assert (held.exit_code, held.changed) == (0, False)
    assert (resumed.exit_code, resumed.changed) == (0, True)


def test_without_auto_apply_run_only_says_what_waits(tmp_path: Path, vbr: FakeVbr) -> None:
    """As with the other strategy."""
    remote = Remote(tmp_path, vbr, auto_apply=False)

    assert remote.run().exit_code == 10
    assert vbr.added == []
    assert remote.apply().exit_code == 0


def test_apply_does_nothing_without_a_yes(remote: Remote, vbr: FakeVbr) -> None:
    """The plan is shown first."""
    assert remote.client().apply(lambda _result: False).exit_code == 14
    assert vbr.added == []


def test_nothing_published_is_no_error_for_run(remote: Remote) -> None:
    """The server may be set up before the cloud is."""
    remote.parameters.values.clear()

    assert isinstance(remote.run().problems[0], NotPublishedError)
    assert (remote.run().exit_code, remote.client().plan().exit_code) == (0, 9)


def test_a_failure_is_reported_once_and_healed(remote: Remote, vbr: FakeVbr) -> None:
    """Without its repository the server has not adopted the endpoint."""
    vbr.buckets.clear()
    codes = [remote.run().exit_code, remote.run().exit_code]
    vbr.buckets = {"vbr-tokyo": set()}

    assert codes == [23, 23]
    assert remote.run().exit_code == 0
    assert remote.parameters.outcomes() == ["failed", "adopted"]


def test_status_shows_what_goes_through_an_endpoint(remote: Remote) -> None:
    """For the person who has to do the steps."""
    remote.run()
    status = json.loads(json.dumps(remote.client().status()))

    assert status["server"]["vbr"]["platform"] == "Linux"
    assert status["server"]["vbr"]["through_endpoints"] == [f"Tokyo: {HOST}"]


class _Killed(BaseException):
    """The program ends here; nothing in the client may catch it."""


def _watched(folder: Path, on_change: Callable[[str, str], None]) -> Remote:
    remote = Remote(folder, FakeVbr())
    remote.watch = on_change
    return remote


def test_killed_anywhere_the_next_run_ends_with_one_repository(tmp_path: Path) -> None:
    """Nothing is journaled but what was seen to be right: the next run finds what there is."""
    heard: list[str] = []
    _watched(tmp_path, lambda when, what: heard.append(f"{when} {what}")).run()
    for point in range(len(heard)):
        moments = count()

        def kill(_when: str, _what: str, *, at: int = point, moments: "count[int]" = moments) -> None:
            if next(moments) == at:
                raise _Killed

        remote = _watched(tmp_path, kill)
        with pytest.raises(_Killed):
            remote.run()
        remote.watch = None
        result = remote.run()
        vbr = remote.vbr
        assert isinstance(vbr, FakeVbr)

        assert result.exit_code == 0, (point, result.problems)
        assert [one.name for one in vbr.found] == ["Tokyo"], point
        assert len(vbr.keys) == 1, point
        assert not remote.run().changed, point
    print(f"service point: killed at {len(heard)} points")

    assert len(heard) >= 12


def test_doctor_looks_at_what_can_be_seen_from_here(remote: Remote) -> None:
    """Nothing is required: this host need not be the one that backs up."""
    checked = {one.check.id: one for _site, one in remote.client().doctor()}

    assert checked["rest"].finding.ok is True
    assert checked["document"].finding.ok is True
    assert checked["tcp"].finding.ok is None
    assert not checked["tcp"].check.required


@pytest.mark.parametrize("revision", REVISIONS)
def test_it_works_in_every_revision(tmp_path: Path, ca: SandboxCa, s3: InMemoryS3, revision: str) -> None:
    """And what was sent is what the revision wants: the stand-in refuses anything else."""
    linux = revision >= "1.3"
    with stand_in_vbr(
        tmp_path / "vbr", ca, s3, revision=revision, platform="Linux" if linux else "Windows"
    ) as stand_in:
        remote = Remote(tmp_path, vbr_of(stand_in, ca))
        remote.clock = HastyClock()
        first, second = remote.run(), remote.run()
        (sent,) = [
            line["body"]
            for line in json_lines(stand_in.folder / "requests.jsonl")
            if line["method"] == "POST" and line["path"].endswith("/repositories")
        ]
        starts = json.loads((stand_in.folder / "services" / "VeeamBackupSvc.json").read_text())["starts"]

        assert (first.exit_code, second.exit_code) == (0, 0), first.problems
        assert (first.changed, second.changed) == (True, False)
        assert sent["type"] == "S3Compatible"
        assert sent["account"]["servicePoint"] == HOST
        assert ("mountServer" in sent) is (revision < "1.3-rev2")
        if linux and revision < "1.3-rev2":
            assert "linux" in sent["mountServer"]
        assert {access.host for access in s3.used} == {HOST}
        assert starts == 1
        assert remote.client().status()["server"]["vbr"]["platform"] == ("Linux" if linux else "Windows")  # type: ignore[index]
