"""Every call in every revision, against the sandbox's stand-in, which is strict about each one's spelling."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onprem_client.errors import VbrError
from onprem_client.secret import Secret
from onprem_client.veeam.protocols import NewRepository, Place
from onprem_client.veeam.revisions import NEWEST_FIRST
from onprem_client.veeam.server import RestVbr
from sandbox.certificates import SandboxCa
from sandbox.vbr.faults import Faults
from sandbox.vbr.revisions import REVISIONS
from sandbox.vbr.stand_in import StandInVbr
from tests.client.region_files import HOST, REGION
from tests.client.stand_in_vbr import rest_of, stand_in_vbr, vbr_of
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3

KEY = Secret("the/secret+key")


@pytest.fixture(name="stand_in", params=list(REVISIONS))
def _stand_in(
    request: pytest.FixtureRequest, tmp_path: Path, ca: SandboxCa, s3: InMemoryS3
) -> Iterator[StandInVbr]:
    with stand_in_vbr(tmp_path / "vbr", ca, s3, revision=request.param) as vbr:
        yield vbr


@pytest.fixture(name="vbr")
def _vbr(stand_in: StandInVbr, ca: SandboxCa) -> RestVbr:
    return vbr_of(stand_in, ca)


def _ended(vbr: RestVbr, session_id: str) -> tuple[str | None, str]:
    give_up = time.monotonic() + 8
    while not (session := vbr.session(session_id)).over:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return session.result, session.message


def _place(vbr: RestVbr, service_point: str | None) -> Place:
    credential = vbr.add_credential("AKIAEXAMPLE", KEY, "for the test")
    gateway = next(iter(vbr.managed_servers().values()))
    return Place(
        credential_id=credential,
        region=REGION,
        bucket="vbr-tokyo",
        service_point=service_point,
        gateway_ids=(gateway,),
    )


def test_the_table_has_every_revision() -> None:
    """And the stand-in knows the same ones."""
    assert [each.name for each in reversed(NEWEST_FIRST)] == list(REVISIONS)


def test_the_server_says_who_it_is(vbr: RestVbr, stand_in: StandInVbr) -> None:
    """The report tells the cloud which version it is, the plan what can't be seen."""
    info = vbr.info()
    old = info.revision < "1.3"

    assert info.version is not None
    assert info.version.startswith(REVISIONS[info.revision].product)
    assert info.blind is old
    assert "tape jobs" in info.unseen
    assert ("backup copy jobs" in info.unseen) is old
    assert not info.linux
    assert vbr.info() is info
    assert "serverInfo" in (stand_in.folder / "requests.jsonl").read_text()


def test_jobs_are_switched_and_their_work_is_seen(vbr: RestVbr) -> None:
    """What the quiesce does, in every spelling."""
    before = {job.name: job.enabled for job in vbr.jobs()}
    (file_server,) = (job for job in vbr.jobs() if job.name == "File server")
    for _twice in range(2):
        vbr.disable_job(file_server.id)
    disabled = {job.name: job.enabled for job in vbr.jobs()}
    for _twice in range(2):
        vbr.enable_job(file_server.id)

    assert before["File server"] is True
    assert before["Old intranet"] is False
    assert disabled == {**before, "File server": False}
    assert {job.name: job.enabled for job in vbr.jobs()} == before


def test_the_configuration_is_backed_up_and_seen_at_work(vbr: RestVbr) -> None:
    """The session is work until it has stopped; an idle copy job is none."""
    session = vbr.back_up_configuration()
    seen = [each.id for each in vbr.work()]
    result, _message = _ended(vbr, session)

    assert result == "Success"
    assert session in seen
    assert session not in [each.id for each in vbr.work()]


@pytest.mark.parametrize("revision", ["1.1-rev0", "1.1-rev1", "1.3-rev2"])
def test_a_job_is_stopped_with_grace_and_without(
    tmp_path: Path, ca: SandboxCa, s3: InMemoryS3, revision: str
) -> None:
    """The word for it is spelled in two ways; a job that ignores grace must still end."""
    with stand_in_vbr(tmp_path, ca, s3, revision=revision, backup_interval=0.02) as stand_in:
        stand_in.inject(Faults(endless_jobs=("File server",)))
        vbr = vbr_of(stand_in, ca)
        (job,) = (job for job in vbr.jobs() if job.name == "File server")
        give_up = time.monotonic() + 8
        while not (mine := [each for each in vbr.work() if each.job_id == job.id]):
            assert time.monotonic() < give_up
        vbr.disable_job(job.id)
        vbr.stop_job(job.id, gracefully=True)
        still = [each.state for each in vbr.work() if each.job_id == job.id]
        vbr.stop_job(job.id, gracefully=False)

        assert still == ["Stopping"]
        assert _ended(vbr, mine[0].id)[0] == "Failed"


@pytest.mark.parametrize("service_point", [None, HOST], ids=["Amazon S3", "S3 compatible"])
def test_a_repository_is_added_from_credential_to_online(
    vbr: RestVbr, s3: InMemoryS3, service_point: str | None
) -> None:
    """Step 5 of the manual procedure, and what is read back is what was asked for."""
    place = _place(vbr, service_point)
    before = vbr.folders(place)
    vbr.add_folder(place, "vbr01")
    after = vbr.folders(place)
    session = vbr.add_repository(
        NewRepository(
            name="Tokyo",
            description="",
            place=place,
            folder="vbr01",
            immutability_days=0,
            write_cache_folder=None,
            take_ownership=False,
        )
    )
    result = _ended(vbr, session)
    (found,) = (each for each in vbr.repositories() if each.bucket is not None)

    assert (before, after) == ((), ("vbr01",))
    assert result == ("Success", "")
    assert (found.name, found.region, found.bucket, found.folder) == ("Tokyo", REGION, "vbr-tokyo", "vbr01")
    assert found.service_point == service_point
    assert found.follows_region_file is (service_point is None)
    assert vbr.is_online(found) in (True, None)
    assert [each.access_key_id for each in vbr.credentials()] == ["AKIAEXAMPLE"]
    assert {access.host == HOST for access in s3.used} == {service_point is not None}


def test_the_cache_of_the_browser_is_reset(vbr: RestVbr, s3: InMemoryS3) -> None:
    """A connectivity test that is answered from memory proves nothing."""
    place = _place(vbr, HOST)
    vbr.folders(place)
    s3.refused_hosts = {HOST}

    with pytest.raises(VbrError, match="explicit deny"):
        vbr.folders(place)


def test_tokens_that_end_at_once_are_replaced(stand_in: StandInVbr, ca: SandboxCa) -> None:
    """Whatever the server thinks of its tokens, the calls go through."""
    rest = rest_of(stand_in, ca)
    vbr = RestVbr(rest)
    vbr.jobs()
    stand_in.inject(Faults(token_lifetime=0.0))
    with pytest.raises(VbrError, match="401"):
        vbr.jobs()
    stand_in.inject(Faults())

    assert vbr.jobs()


def test_no_request_in_the_log_holds_a_secret(vbr: RestVbr, stand_in: StandInVbr) -> None:
    """The stand-in masks what it knows; the client must not put secrets where nobody expects them."""
    vbr.add_credential("AKIAEXAMPLE", KEY, "for the test")
    log = (stand_in.folder / "requests.jsonl").read_text()

    assert KEY.reveal() not in log
    assert stand_in.password not in log
