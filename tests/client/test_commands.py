"""What the commands do to a server, in memory and through the stand-in adapters; everything twice."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from onprem_client.errors import (
    ApplyError,
    ChangedMeanwhileError,
    ConfigurationError,
    DocumentRefusedError,
    JournalError,
    NotConfirmedError,
    NotOursError,
    NotPublishedError,
    RegionFileError,
    RollbackError,
    ServerError,
    ServiceNotRunningError,
)
from onprem_client.resources.region_xml import region_endpoints
from onprem_client.resources.registry_value import KEY, NAME, WANTED
from onprem_client.resources.service_restart import SERVICE
from onprem_client.result import Result
from onprem_client.windows.protocols import RegistryValue, ServiceState
from tests.client.region_files import DEFAULT, ENDPOINT_ID, HOST, REGION
from tests.client.server import (
    Memory,
    Server,
    StandInVbr,
    configured,
    document,
    memory_server,
    only,
    stand_in_server,
)

OTHER_ID = "vpce-00000000000000001"
OTHER_HOST = HOST.replace(ENDPOINT_ID, OTHER_ID)


@pytest.fixture(name="memory")
def _memory(tmp_path: Path) -> Memory:
    return memory_server(tmp_path)


@pytest.fixture(name="server", params=["memory", "stand-in"])
def _server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "memory":
        yield memory_server(tmp_path)
        return
    with StandInVbr(tmp_path / "vbr") as vbr:
        yield stand_in_server(vbr, tmp_path)


def _files(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_run_adopts_the_endpoint_and_a_second_run_writes_nothing(server: Server, tmp_path: Path) -> None:
    """The scheduled task comes every ten minutes; only the first one has work."""
    first = server.run()
    files, state = _files(tmp_path), server.journal().memory
    second = server.run()

    assert (first.exit_code, first.changed) == (0, True)
    assert (second.exit_code, second.changed) == (0, False)
    assert server.xml == DEFAULT.after
    assert server.value == WANTED
    assert server.service() is ServiceState.RUNNING
    assert server.parameters.outcomes() == ["adopted"]
    assert _files(tmp_path) == files
    assert server.journal().memory == state


def test_plan_says_everything_and_changes_nothing(server: Server, tmp_path: Path) -> None:
    """A backup administrator reads this before saying yes."""
    before = _files(tmp_path)
    result = server.client().plan()
    said = "\n".join([*map(str, result.changes), *result.notes])

    assert result.exit_code == 10
    assert "CloudRegionsDisableUpdate: absent -> REG_DWORD 1" in said
    assert f"s3-{REGION}.amazonaws.com -> {REGION} {HOST}" in said
    assert f"service {SERVICE} and Catalog: running -> stopped" in said
    assert f"every Amazon S3 repository of {REGION}" in said
    assert "restarting the service interrupts its tasks" in said
    assert _files(tmp_path) == before
    assert server.xml == DEFAULT.before


def test_plan_after_apply_is_empty(server: Server) -> None:
    """Applying once leaves nothing to do."""
    server.apply()
    result = server.client().plan()

    assert (result.exit_code, result.changes) == (0, ())


def test_undo_gives_back_every_byte_and_holds_the_site(server: Server, tmp_path: Path) -> None:
    """What was there before the first apply is there again, and `run` doesn't bring the endpoint back."""
    before = (
        {path: content for path, (content, _time) in _files(tmp_path / "vbr").items()}
        if (tmp_path / "vbr").exists()
        else {}
    )
    server.run()
    undone = server.undo()
    again = server.undo()
    run = server.run()
    after = {path: content for path, (content, _time) in _files(tmp_path / "vbr").items()} if before else {}

    assert (undone.exit_code, undone.changed) == (0, True)
    assert (again.exit_code, again.changed) == (0, False)
    assert server.xml == DEFAULT.before
    assert server.value is None
    assert after == before
    assert (run.exit_code, run.changed) == (0, False)
    assert "held by undo; `apply` resumes" in str(only(run).note)
    assert server.parameters.outcomes() == ["adopted", "reverted"]


def test_apply_resumes_a_held_site(server: Server) -> None:
    """Held is not for ever."""
    server.run()
    server.undo()
    plan = server.client().plan()
    resumed = server.apply()

    assert plan.exit_code == 10
    assert (resumed.exit_code, resumed.changed) == (0, True)
    assert server.xml == DEFAULT.after
    assert not server.journal().memory.held
    assert server.parameters.outcomes() == ["adopted", "reverted", "adopted"]


@pytest.mark.parametrize("value", [RegistryValue("REG_DWORD", 0), RegistryValue("REG_SZ", "1")], ids=str)
def test_undo_gives_back_the_registry_value_as_it_was(server: Server, value: RegistryValue) -> None:
    """A value that somebody had set, of whatever type, is theirs."""
    server.registry.write(KEY, NAME, value)
    server.run()
    server.undo()

    assert server.value == value


def test_undo_knows_the_value_from_before_the_first_apply_though_it_was_lost_since(memory: Memory) -> None:
    """An upgrade dropped the value and `run` set it again: that is not what was there at first."""
    memory.registry.write(KEY, NAME, RegistryValue("REG_DWORD", 0))
    memory.run()
    memory.registry.delete(KEY, NAME)
    memory.run()
    memory.undo()

    assert memory.value == RegistryValue("REG_DWORD", 0)


def test_undo_leaves_a_registry_value_that_was_right_before_us(server: Server) -> None:
    """Somebody followed the manual procedure for another region: undo must not break it."""
    server.registry.write(KEY, NAME, WANTED)
    server.run()
    server.undo()

    assert server.value == WANTED


def test_undo_leaves_a_registry_value_that_somebody_changed_since(memory: Memory) -> None:
    """Nothing is overwritten blindly."""
    memory.run()
    memory.registry.write(KEY, NAME, RegistryValue("REG_DWORD", 7))
    memory.undo()

    assert memory.value == RegistryValue("REG_DWORD", 7)


def test_withdrawn_takes_the_server_back(server: Server) -> None:
    """The cloud deletes the endpoint only after every server has reported `reverted`."""
    server.run()
    server.parameters.publish(document(state="withdrawn"))
    first = server.run()
    second = server.run()

    assert (first.changed, second.changed) == (True, False)
    assert server.xml == DEFAULT.before
    assert server.value is None
    assert server.parameters.outcomes() == ["adopted", "reverted"]


def test_a_server_that_never_adopted_reports_reverted_too(memory: Memory) -> None:
    """Otherwise the release would wait for it until its deadline."""
    memory.parameters.publish(document(state="withdrawn"))
    memory.run()
    memory.run()

    assert memory.parameters.outcomes() == ["reverted"]
    assert memory.fake_services.restarts == 0


def test_an_endpoint_set_by_hand_cannot_be_withdrawn(memory: Memory) -> None:
    """What was there before is not known: the cloud must not think that the server has gone back."""
    memory.replace_xml(DEFAULT.after)
    memory.run()
    memory.parameters.publish(document(state="withdrawn"))
    result = memory.run()

    assert isinstance(only(result).problem, NotOursError)
    assert result.exit_code == 16
    assert memory.xml == DEFAULT.after
    assert memory.value == WANTED
    assert memory.parameters.outcomes() == ["adopted", "failed"]


def test_another_endpoint_is_applied_and_undo_goes_back_to_the_first(server: Server) -> None:
    """The original is what Veeam had, not the endpoint before this one."""
    server.run()
    server.parameters.publish(document(vpc_endpoint_id=OTHER_ID, endpoint_host=OTHER_HOST))
    server.run()

    assert server.xml == DEFAULT.after.replace(HOST.encode(), OTHER_HOST.encode())

    server.undo()

    assert server.xml == DEFAULT.before
    assert server.parameters.outcomes() == ["adopted", "adopted", "reverted"]


def test_a_new_version_with_the_same_meaning_changes_nothing(memory: Memory) -> None:
    """Provenance is no news."""
    memory.run()
    memory.parameters.publish(document(published_at="2026-02-01T00:00:00Z", execution="another"))
    result = memory.run()

    assert not result.changed
    assert memory.parameters.outcomes() == ["adopted"]


def test_after_an_upgrade_the_endpoint_goes_into_the_new_file(server: Server) -> None:
    """VBR's setup puts its own file back; the old one must not come over it, and undo knows the new one."""
    server.run()
    upgraded = DEFAULT.before.replace(b"</Regions>", b"  <Region Id='new-1'/>\r\n</Regions>").replace(
        b"s3.dualstack.ap-northeast-1", b"s3.v13.ap-northeast-1"
    )
    server.replace_xml(upgraded)
    server.registry.delete(KEY, NAME)
    result = server.run()

    assert result.changed
    assert "an upgrade of VBR" in str(only(result).note)
    assert server.xml == DEFAULT.after.replace(b"</Regions>", b"  <Region Id='new-1'/>\r\n</Regions>")
    assert server.value == WANTED

    server.undo()

    assert server.xml == upgraded


def test_undo_keeps_what_somebody_changed_elsewhere_in_the_file(memory: Memory) -> None:
    """Merged into the file as it is today."""
    memory.run()
    memory.replace_xml(memory.xml.replace(b"us-east-1.amazonaws.com", b"us-east-1.example.com"))
    memory.undo()

    assert memory.xml == DEFAULT.before.replace(b"us-east-1.amazonaws.com", b"us-east-1.example.com")


def test_undo_leaves_endpoints_that_somebody_changed_since(memory: Memory) -> None:
    """They don't lead to our endpoint: said, left, and no longer ours."""
    memory.run()
    theirs = memory.xml.replace(HOST.encode(), b"s3.by-hand.example")
    memory.replace_xml(theirs)
    result = memory.undo()

    assert result.exit_code == 0
    assert "changed by somebody else" in str(only(result).note)
    assert memory.xml == theirs
    assert memory.value is None
    assert not memory.journal().memory.adopted


def test_endpoints_added_beside_ours_are_removed_and_never_taken_for_the_original(memory: Memory) -> None:
    """Half of the connections would leave by the public way; and undo still knows Veeam's own."""
    memory.run()
    ours = memory.xml
    memory.replace_xml(ours.replace(b"</Endpoint>", b'</Endpoint><Endpoint Type="S3">x</Endpoint>'))
    result = memory.run()
    healed = memory.xml
    memory.undo()

    assert result.changed
    assert "beside ours" in str(only(result).note)
    assert healed.count(HOST.encode()) == ours.count(HOST.encode()) == 1
    assert region_endpoints(memory.xml, region=REGION) == region_endpoints(DEFAULT.before, region=REGION)


def test_plan_after_a_crash_says_that_run_puts_it_right(memory: Memory) -> None:
    """The service is stopped, but by us: nobody must be sent to look for another culprit."""

    def end(name: str) -> None:  # noqa: ARG001
        raise SystemExit

    start = memory.fake_services.request_start
    memory.fake_services.request_start = end  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        memory.run()
    memory.fake_services.request_start = start  # type: ignore[method-assign]
    result = memory.client().plan()

    assert result.exit_code == 10
    assert "was interrupted; the next `run` puts that right first" in result.notes[0]
    assert memory.run().exit_code == 0
    assert memory.xml == DEFAULT.after


def test_undo_says_so_when_our_host_stands_among_others(memory: Memory) -> None:
    """It still leads to the endpoint, but not in our form: a person must decide."""
    memory.run()
    theirs = memory.xml.replace(
        f'<Endpoint Type="S3">{HOST}'.encode(),
        f'<Endpoint Type="S3">x</Endpoint><Endpoint Type="S3">{HOST}'.encode(),
    )
    memory.replace_xml(theirs)
    result = memory.undo()

    assert result.exit_code == 16
    assert memory.xml == theirs
    assert memory.value == WANTED
    assert not memory.journal().memory.held


def test_run_without_auto_apply_only_says_what_waits(tmp_path: Path) -> None:
    """A careful site wants a person to press the button."""
    server = memory_server(tmp_path, auto_apply=False)
    result = server.run()

    assert result.exit_code == 10
    assert result.changes
    assert server.xml == DEFAULT.before
    assert server.parameters.puts == []

    server.apply()

    assert server.run().exit_code == 0


def test_apply_does_nothing_without_a_yes(memory: Memory) -> None:
    """The restart interrupts running tasks."""
    result = memory.client().apply(lambda _result: False)

    assert isinstance(result.problem, NotConfirmedError)
    assert result.exit_code == 14
    assert memory.xml == DEFAULT.before
    assert memory.parameters.puts == []
    assert memory.journal().pending is None


def test_a_service_that_somebody_stopped_is_left_alone(server: Server) -> None:
    """Somebody is maintaining the server; touching anything would be in their way."""
    server.services.request_stop(SERVICE)
    while server.service() is not ServiceState.STOPPED:
        server.clock.sleep(0.05)
    first = server.run()
    second = server.run()

    assert isinstance(first.problem, ServiceNotRunningError)
    assert (first.exit_code, second.exit_code) == (11, 11)
    assert server.xml == DEFAULT.before
    assert server.value is None
    assert server.service() is ServiceState.STOPPED
    assert server.parameters.outcomes() == ["failed"]
    assert server.client().plan().exit_code == 11


def test_a_service_that_somebody_stops_while_the_plan_is_read_is_not_started(memory: Memory) -> None:
    """Their maintenance has begun; the way back must not end it."""

    def stop(_result: Result) -> bool:
        memory.fake_services.states[SERVICE] = ServiceState.STOPPED
        return True

    result = memory.client().apply(stop)

    assert result.exit_code == 4
    assert "not this program's doing" in str(result.problem)
    assert memory.service() is ServiceState.STOPPED
    assert memory.xml == DEFAULT.before
    assert memory.value is None


def test_a_service_that_will_not_stop_leaves_everything_as_before(memory: Memory) -> None:
    """It is still stopping, so nobody can promise that it runs: a person is called; the next run heals."""
    memory.fake_services.stuck = {(SERVICE, "stop")}
    result = memory.run()

    assert isinstance(result.problem, RollbackError)
    assert result.exit_code == 5
    assert memory.xml == DEFAULT.before

    memory.fake_services.stuck = set()
    healed = memory.run()

    assert healed.exit_code == 0
    assert "has been taken back" in healed.notes[0]
    assert memory.xml == DEFAULT.after
    assert set(memory.fake_services.states.values()) == {ServiceState.RUNNING, ServiceState.STOPPED}
    assert memory.fake_services.states["Idle"] is ServiceState.STOPPED


def test_a_dependent_that_will_not_stop_costs_nothing(memory: Memory) -> None:
    """The first stop fails before the main service is touched."""

    def refuse(name: str) -> None:
        raise ServerError(f"service {name}: access denied")

    memory.fake_services.request_stop = refuse  # type: ignore[method-assign]
    result = memory.run()
    again = memory.run()

    assert isinstance(result.problem, ApplyError)
    assert (result.exit_code, again.exit_code) == (4, 4)
    assert "access denied" in str(result.problem)
    assert memory.fake_services.restarts == 0
    assert memory.value is None
    assert memory.journal().pending is None
    assert memory.parameters.outcomes() == ["failed"]


def test_a_service_that_will_not_start_with_the_new_file_gets_the_old_one(memory: Memory) -> None:
    """Backups to the public endpoint are better than none."""
    start, calls = memory.fake_services.request_start, []

    def refuse_once(name: str) -> None:
        calls.append(name)
        if len(calls) == 1:
            raise ServerError("service failed to start")
        start(name)

    memory.fake_services.request_start = refuse_once  # type: ignore[method-assign]
    result = memory.run()

    assert result.exit_code == 4
    assert memory.xml == DEFAULT.before
    assert memory.value is None
    assert memory.service() is ServiceState.RUNNING
    assert memory.fake_services.loaded[0] == DEFAULT.before
    assert memory.fake_services.states["Catalog"] is ServiceState.RUNNING


def test_the_way_back_leaves_what_somebody_changed_meanwhile(memory: Memory) -> None:
    """Neither their registry value nor their file is overwritten with what was there before."""
    start = memory.fake_services.request_start
    theirs = DEFAULT.before.replace(b"s3.amazonaws.com", b"s3.example.com")

    def meddle(name: str) -> None:
        memory.fake_services.request_start = start  # type: ignore[method-assign]
        memory.registry.write(KEY, NAME, RegistryValue("REG_DWORD", 7))
        memory.replace_xml(theirs)
        raise ServerError(f"{name} did not start")

    memory.fake_services.request_start = meddle  # type: ignore[method-assign]
    result = memory.run()

    assert result.exit_code == 4
    assert memory.value == RegistryValue("REG_DWORD", 7)
    assert memory.xml == theirs
    assert memory.service() is ServiceState.RUNNING


def test_a_file_that_cannot_be_staged_never_stops_the_service(memory: Memory) -> None:
    """A full disk is found out before anything is touched."""
    stage = memory.fake_files.stage

    def full(path: Path, content: bytes) -> None:
        if path.name == "AmazonS3Regions.xml":
            raise ServerError("no space left on device")
        stage(path, content)

    memory.fake_files.stage = full  # type: ignore[method-assign]
    result = memory.run()

    assert result.exit_code == 4
    assert "no space left" in str(result.problem)
    assert memory.fake_services.restarts == 0
    assert memory.value is None
    assert memory.journal().pending is None


def test_a_full_disk_for_the_journal_stops_everything_before_it_begins(memory: Memory) -> None:
    """Nothing may happen that could not be remembered."""

    def full(path: Path, content: bytes) -> None:  # noqa: ARG001
        raise ServerError("no space left on device")

    memory.fake_files.stage = full  # type: ignore[method-assign]
    with pytest.raises(ServerError):
        memory.run()

    assert memory.xml == DEFAULT.before
    assert memory.value is None
    assert memory.fake_services.restarts == 0


def test_a_file_changed_between_plan_and_apply_is_left(memory: Memory) -> None:
    """Somebody edits the file while the operator reads the plan."""
    theirs = DEFAULT.before.replace(b"s3.amazonaws.com", b"s3.example.com")

    def edit(_result: Result) -> bool:
        memory.replace_xml(theirs)
        return True

    result = memory.client().apply(edit)

    assert result.exit_code == 4
    assert isinstance(result.problem, ApplyError)
    assert isinstance(result.problem.__cause__, ChangedMeanwhileError)
    assert memory.xml == theirs
    assert memory.value is None
    assert memory.service() is ServiceState.RUNNING
    assert memory.run().exit_code == 0


def test_a_registry_value_changed_between_plan_and_apply_is_left(memory: Memory) -> None:
    """Undo would otherwise bring back a value that nobody wants any more."""

    def edit(_result: Result) -> bool:
        memory.registry.write(KEY, NAME, RegistryValue("REG_DWORD", 7))
        return True

    result = memory.client().apply(edit)

    assert result.exit_code == 4
    assert memory.value == RegistryValue("REG_DWORD", 7)
    assert memory.fake_services.restarts == 0


def test_vbr_rewriting_the_file_at_the_restart_is_noticed(memory: Memory) -> None:
    """`adopted` would let the cloud lock the bucket against this server."""
    start = memory.fake_services.request_start

    def rewrite(name: str) -> None:
        if name == SERVICE:
            memory.replace_xml(DEFAULT.before)
        start(name)

    memory.fake_services.request_start = rewrite  # type: ignore[method-assign]
    first = memory.run()
    memory.fake_services.request_start = start  # type: ignore[method-assign]
    second = memory.run()

    assert isinstance(first.problem, ChangedMeanwhileError)
    assert second.exit_code == 0
    assert memory.parameters.outcomes() == ["failed", "adopted"]


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[]",
        "x" * 5000,
        document(site="osaka"),
        document(region="us-east-1", endpoint_host=HOST.replace(REGION, "us-east-1")),
        document(account_id="999999999999"),
        document(schema_version=2),
        document(endpoint_host="evil.example"),
        document(endpoint_host=HOST.replace("b", "\u042c", 1)),
        document(surprise=1),
        document(buckets=[]),
    ],
    ids=[
        "cut",
        "list",
        "long",
        "site",
        "region",
        "account",
        "version",
        "host",
        "Cyrillic",
        "unknown field",
        "no bucket",
    ],
)
def test_a_refused_document_changes_nothing(memory: Memory, value: str) -> None:
    """Whoever can write one parameter must not be able to lead the backups away."""
    memory.parameters.publish(value)
    first, second = memory.run(), memory.run()

    assert isinstance(only(first).problem, DocumentRefusedError)
    assert (first.exit_code, second.exit_code) == (6, 6)
    assert memory.xml == DEFAULT.before
    assert memory.value is None
    assert memory.parameters.puts == []
    assert memory.fake_files.contents.keys() == {memory.path}


def test_a_refused_document_leaves_an_adopted_server_as_it_is(memory: Memory) -> None:
    """Backups go on through the endpoint."""
    memory.run()
    memory.parameters.publish("{}")

    assert memory.run().exit_code == 6
    assert memory.xml == DEFAULT.after


def test_nothing_published_is_no_error_for_run(memory: Memory) -> None:
    """The server may be set up before the cloud is."""
    memory.parameters.values.clear()
    result, planned = memory.run(), memory.client().plan()

    assert isinstance(only(result).problem, NotPublishedError)
    assert (result.exit_code, planned.exit_code) == (0, 9)


def test_an_unreachable_cloud_leaves_the_server_as_it_is(memory: Memory) -> None:
    """A broken line must not break backups."""
    memory.run()
    memory.parameters.unreachable = True

    assert memory.run().exit_code == 8
    assert memory.xml == DEFAULT.after


def test_undo_works_without_the_cloud_and_reports_later(memory: Memory) -> None:
    """Going back must never depend on what may be the reason for it."""
    memory.run()
    memory.parameters.unreachable = True
    undone = memory.undo()
    memory.parameters.unreachable = False
    memory.run()
    memory.run()

    assert (undone.exit_code, undone.changed) == (8, True)
    assert memory.xml == DEFAULT.before
    assert memory.parameters.outcomes() == ["adopted", "reverted"]


@pytest.mark.parametrize(
    "xml",
    [b"<", b"<Regions/>", DEFAULT.before.replace(b'Type="S3"', b'Type="EC2"')],
    ids=["cut", "no region", "no S3"],
)
def test_a_region_file_that_is_refused_changes_nothing(memory: Memory, xml: bytes) -> None:
    """And the failure is reported once, not at each poll."""
    memory.replace_xml(xml)
    first, second = memory.run(), memory.run()

    assert isinstance(only(first).problem, RegionFileError)
    assert (first.exit_code, second.exit_code) == (7, 7)
    assert memory.xml == xml
    assert memory.value is None
    assert memory.parameters.outcomes() == ["failed"]


def test_a_missing_region_file_is_said(memory: Memory) -> None:
    """An installation without it is broken, or not VBR 11 to 13."""
    del memory.fake_files.contents[memory.path]

    with pytest.raises(RegionFileError, match="does not exist"):
        memory.run()


def test_a_server_without_vbr_is_refused(memory: Memory) -> None:
    """The client was installed on the wrong machine."""
    memory.registry.has_key = lambda key: key == "no VBR"  # type: ignore[method-assign]

    with pytest.raises(ServerError, match="not installed here"):
        memory.run()


def test_a_journal_that_is_damaged_stops_everything(memory: Memory) -> None:
    """Without it, undo would not know what was there before."""
    memory.fake_files.contents[memory.configuration.state_folder / "journal.json"] = b'{"format": 99}'

    with pytest.raises(JournalError, match="can't be read"):
        memory.run()


TWO_SITES = f"""
[[site]]
name = "tokyo"
region = "{REGION}"
[[site]]
name = "virginia"
region = "us-east-1"
"""


def _two_sites(folder: Path) -> Memory:
    server = memory_server(folder, sites=TWO_SITES)
    host = HOST.replace(REGION, "us-east-1")
    server.parameters.publish(
        document(site="virginia", region="us-east-1", endpoint_host=host), site="virginia"
    )
    return server


def test_two_sites_share_one_restart(tmp_path: Path) -> None:
    """Each restart interrupts running tasks."""
    server = _two_sites(tmp_path)
    server.run()

    assert server.fake_services.restarts == 1
    assert len(server.parameters.puts) == 2


@pytest.mark.parametrize("order", [("tokyo", "virginia"), ("virginia", "tokyo")])
def test_the_registry_value_stays_while_another_site_needs_it(tmp_path: Path, order: tuple[str, str]) -> None:
    """Without it VBR would rewrite the file under the other site; the last one takes it away."""
    server = _two_sites(tmp_path)
    server.run()
    server.undo(order[0])
    while_needed, again = server.value, server.run()
    server.undo(order[1])

    assert while_needed == WANTED
    assert not again.changed
    assert server.value is None
    assert server.xml == DEFAULT.before


def test_a_site_that_is_refused_does_not_hold_up_the_other(tmp_path: Path) -> None:
    """Sites are independent; the exit code still says that something is wrong."""
    server = _two_sites(tmp_path)
    server.parameters.publish("{}", site="virginia")
    result = server.run()

    assert (result.exit_code, result.changed) == (6, True)
    assert server.xml == DEFAULT.after


def test_undo_of_an_unknown_site_is_refused(memory: Memory) -> None:
    """A typing error must not look like success."""
    with pytest.raises(ConfigurationError, match="known: tokyo"):
        memory.undo("tokio")


def test_a_report_tells_what_was_checked(server: Server) -> None:
    """The cloud locks the bucket on the strength of it."""
    server.run()
    ((name, value),) = server.parameters.puts
    report = json.loads(value)

    assert name == "/vbr-privatelink/tokyo/adoption/vbr01"
    assert report["vpc_endpoint_id"] == ENDPOINT_ID
    assert report["document_version"] == 1
    assert report["vbr_version"] is None
    assert [(check["id"], check["ok"]) for check in report["checks"]] == [
        ("registry-value", True),
        ("region-file", True),
        ("service", True),
        ("document", True),
    ]


def test_status_shows_where_each_value_came_from(server: Server) -> None:
    """The first question of support."""
    server.run()
    status = json.loads(json.dumps(server.client().status()))

    assert status["configuration"]["service.stop_timeout"] == {"value": 120, "from": "default"}
    assert status["configuration"]["server"]["from"].endswith("client.toml")
    assert status["sites"]["tokyo"]["endpoints_on_server"] == [HOST]
    assert status["sites"]["tokyo"]["document"]["version"] == 1
    assert status["server"]["registry"] == "REG_DWORD 1"
    assert status["server"]["service"] == "running"
    assert status["journal"]["adopted"][REGION]["host"] == HOST


def test_status_says_what_it_cannot_read(memory: Memory) -> None:
    """Most needed when something is broken."""
    memory.parameters.unreachable = True
    memory.replace_xml(b"<")
    status = json.loads(json.dumps(memory.client().status()))

    assert "can't be reached" in status["sites"]["tokyo"]["problem"]
    assert "can't be read" in status["sites"]["tokyo"]["endpoints_on_server"]


def test_a_site_that_leaves_the_configuration_can_still_be_undone(memory: Memory) -> None:
    """The journal knows it, client.toml no longer does."""
    memory.run()
    sites = '[[site]]\nname = "virginia"\nregion = "us-east-1"\n'
    memory.configuration = configured(memory.folder, sites=sites)
    memory.undo("tokyo")

    assert memory.xml == DEFAULT.before
