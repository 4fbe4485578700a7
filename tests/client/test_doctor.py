"""
The checks: what each says, which of them keep a restart from happening, and which keep `adopted` unsaid.
"""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract import names
from onprem_client import cli
from onprem_client.checks.check import Check, Checked, Finding, look
from onprem_client.checks.network import SystemNetwork
from onprem_client.checks.protocols import Bucket, Certificate, NetworkError, S3Answer
from onprem_client.errors import CheckFailedError
from onprem_client.secret import Secret, repository_secret
from onprem_client.veeam.protocols import Repository
from sandbox.certificates import SandboxCa
from tests.client.region_files import DEFAULT, HOST, REGION
from tests.client.server import SITE, VBR, Memory, configured, document, memory_server, only

KEY = "AKIAIOSFODNN7EXAMPLE"
NOW = 1769896800.0  # 2026-01-31T22:00:00Z, the fake clock's time.
REQUIRED_BEFORE = {"document", "dns", "tcp", "tls", "s3"}
REQUIRED_AFTER = REQUIRED_BEFORE | {"registry-value", "region-file", "service"}
OF_A_SITE = REQUIRED_BEFORE | {
    "revocation",
    "permissions",
    "clock",
    "registry-value",
    "region-file",
    "other-repositories",
}


class FakeNetwork:
    """A network on which everything is well, until a test says otherwise."""

    def __init__(self) -> None:
        self.through_proxy = False
        self.any_host = False
        self.addresses: tuple[str, ...] = ("10.0.1.10",)
        self.closed: dict[tuple[str, int], str] = {}
        self.untrusted: str | None = None
        self.revocation_hosts: tuple[str, ...] = ("crl.example",)
        self.refused: str | None = None
        self.at: float | None = NOW
        self.missing: tuple[str, ...] = ()
        self.asked: list[Bucket] = []

    def resolve(self, host: str) -> tuple[str, ...]:
        assert host == HOST or self.any_host
        return self.addresses

    def connect(self, host: str, port: int) -> None:
        if (host, port) in self.closed:
            raise NetworkError(self.closed[host, port])

    def certificate(self, host: str) -> Certificate:
        if self.untrusted is not None:
            raise NetworkError(f"the certificate of {host} is not trusted: {self.untrusted}")
        return Certificate(expires="2027", revocation_hosts=self.revocation_hosts)

    def look_into(self, bucket: Bucket) -> S3Answer:
        self.asked.append(bucket)
        return S3Answer(refused=self.refused, at=self.at)

    def missing_permissions(self, bucket: Bucket) -> tuple[str, ...]:
        self.asked.append(bucket)
        return self.missing


@pytest.fixture(name="network")
def _network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture(name="server")
def _server(tmp_path: Path, network: FakeNetwork) -> Memory:
    server = memory_server(tmp_path, rest=True)
    site = f'[[site]]\nname = "{SITE}"\nregion = "{REGION}"\n[site.repository]\naccess_key_id = "{KEY}"\n'
    server.configuration = configured(tmp_path, more=VBR, sites=site)
    server.secrets.values[repository_secret(SITE)] = Secret("the/secret+key")
    server.network = network
    return server


def _checked(server: Memory) -> dict[str, Checked]:
    return {one.check.id: one for _site, one in server.client().doctor()}


def _bad(server: Memory) -> set[str]:
    return {name for name, one in _checked(server).items() if one.finding.ok is False}


def test_everything_is_well_after_a_run(server: Memory, network: FakeNetwork) -> None:
    """Every check has looked, and every one says why it is there and what to do."""
    server.run()
    checked = _checked(server)

    assert set(checked) == OF_A_SITE | {"service", "rest"}
    assert {one.finding.ok for one in checked.values()} == {True}
    assert all(
        one.check.title and one.check.why and one.check.remedy.endswith(".") for one in checked.values()
    )
    assert network.asked[0].secret_key == Secret("the/secret+key")


def test_before_a_run_only_what_the_run_brings_is_missing(server: Memory) -> None:
    """So it can be called first of all."""
    assert _bad(server) == {"registry-value", "region-file"}


def test_doctor_changes_nothing(server: Memory) -> None:
    """Whoever is in trouble calls it first."""
    heard: list[str] = []
    server.on_change = lambda _when, what: heard.append(what)
    server.client().doctor()

    assert heard == []


@pytest.mark.parametrize(
    ("trouble", "check", "said"),
    [
        ({"addresses": ()}, "dns", "rebinding protection"),
        ({"addresses": ("52.219.0.1",)}, "dns", "52.219.0.1, but the endpoint has 10.0.1.10"),
        ({"closed": {(HOST, 443): "timed out"}}, "tcp", "timed out"),
        ({"untrusted": "self-signed"}, "tls", "self-signed"),
        ({"refused": "AccessDenied: no"}, "s3", "vbr-tokyo: AccessDenied: no"),
    ],
    ids=["no answer", "public address", "port closed", "TLS inspection", "denied"],
)
def test_what_must_hold_before_a_restart_keeps_it_from_happening(
    server: Memory, network: FakeNetwork, trouble: dict[str, object], check: str, said: str
) -> None:
    """After the restart every backup of the region would fail."""
    for name, value in trouble.items():
        setattr(network, name, value)
    planned = server.client().plan()
    result = server.run()
    failed = _checked(server)[check]

    assert isinstance(only(result).problem, CheckFailedError)
    assert (planned.exit_code, result.exit_code) == (22, 22)
    assert f"{check}: FAILED" in str(only(result).problem)
    assert said in failed.finding.detail
    assert server.fake_services.restarts == 0
    assert server.xml == DEFAULT.before
    assert server.fake_vbr.backups == []
    assert server.parameters.outcomes() == ["failed"]


@pytest.mark.parametrize(
    ("trouble", "check", "said"),
    [
        ({"closed": {("crl.example", 80): "refused"}}, "revocation", "refused"),
        ({"missing": ("s3:PutObject",)}, "permissions", "vbr-tokyo: refused: s3:PutObject"),
        ({"at": NOW - 1000}, "clock", "+1000 s from Amazon S3"),
        ({"at": NOW + 400}, "clock", "-400 s"),
    ],
)
def test_what_need_not_hold_before_a_restart_is_only_said(
    server: Memory, network: FakeNetwork, trouble: dict[str, object], check: str, said: str
) -> None:
    """The first backup would show it, too, and nothing is worse than before."""
    for name, value in trouble.items():
        setattr(network, name, value)
    result = server.run()

    assert result.exit_code == 0
    assert _bad(server) == {check}
    assert said in _checked(server)[check].finding.detail


def test_the_lists_of_what_is_required_are_these(server: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes a check out of them must mean it."""
    seen: list[list[str]] = []

    def watched(checks: Iterator[Check]) -> list[Checked]:
        found = look(checks)
        seen.append([one.check.id for one in found])
        return found

    monkeypatch.setattr("onprem_client.caution.look", watched)
    server.run()

    assert [set(one) for one in seen] == [REQUIRED_BEFORE, REQUIRED_AFTER]


@pytest.mark.parametrize("check", sorted(REQUIRED_BEFORE - {"document"}))
def test_each_required_check_decides_alone(
    server: Memory, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    """None of them hides behind another one."""

    def one_fails(checks: Iterator[Check]) -> list[Checked]:
        return look(
            replace(one, look=lambda: Finding(False, "made to fail")) if one.id == check else one
            for one in checks
        )

    monkeypatch.setattr("onprem_client.caution.look", one_fails)
    result = server.run()

    assert result.exit_code == 22
    assert server.fake_services.restarts == 0


def test_a_site_whose_check_fails_does_not_hold_up_the_other(tmp_path: Path, network: FakeNetwork) -> None:
    """Sites are independent; the exit code still says that something is wrong."""
    sites = "".join(
        f'[[site]]\nname = "{name}"\nregion = "{region}"\n'
        for name, region in ((SITE, REGION), ("virginia", "us-east-1"))
    )
    server = memory_server(tmp_path, rest=True)
    server.configuration = configured(tmp_path, more=VBR, sites=sites)
    host = HOST.replace(REGION, "us-east-1")
    server.parameters.publish(
        document(site="virginia", region="us-east-1", endpoint_host=host), site="virginia"
    )
    network.closed = {(host, 443): "timed out"}
    network.any_host = True
    server.network = network
    result = server.run()

    assert (result.exit_code, result.changed) == (22, True)
    assert server.xml == DEFAULT.after
    assert server.parameters.outcomes() == ["adopted", "failed"]


def test_adopted_is_not_said_while_a_check_fails(server: Memory, network: FakeNetwork) -> None:
    """The cloud locks the bucket on the strength of it; each state is reported once."""
    stop = server.fake_services.on_stop

    def and_break_the_line() -> None:
        stop()
        network.closed = {(HOST, 443): "timed out"}

    server.fake_services.on_stop = and_break_the_line
    results = [server.run() for _again in range(3)]
    report = json.loads(server.parameters.puts[-1][1])
    network.closed = {}
    healed = server.run()

    assert [result.exit_code for result in results] == [22, 22, 22]
    assert "follows the endpoint, but tcp: FAILED: timed out" in str(results[0].problem)
    assert results[0].changed
    assert report["error"] == "checks failed: tcp"
    assert {check["id"]: check["ok"] for check in report["checks"]}["tcp"] is False
    assert healed.exit_code == 0
    assert server.fake_services.restarts == 1
    assert server.parameters.outcomes() == ["failed", "adopted"]


def test_the_report_holds_what_was_checked(server: Memory) -> None:
    """Bounded, and each id once."""
    server.run()
    ids = [check["id"] for check in json.loads(server.parameters.puts[0][1])["checks"]]

    assert len(ids) == len(set(ids))
    assert set(ids) == REQUIRED_AFTER | {"repository"}


def test_a_converged_run_checks_nothing(server: Memory, network: FakeNetwork) -> None:
    """It comes every ten minutes."""
    server.run()
    asked = len(network.asked)
    server.run()

    assert len(network.asked) == asked


def test_undo_is_not_kept_back_by_a_check(server: Memory, network: FakeNetwork) -> None:
    """A broken endpoint is the very reason to go back."""
    server.run()
    network.closed = {(HOST, 443): "timed out"}

    assert server.undo().exit_code == 0


def test_without_a_key_s3_is_not_looked_at(server: Memory) -> None:
    """Not good, not bad: the repository is somebody else's business then."""
    server.secrets.values.clear()
    checked = _checked(server)

    assert {name for name, one in checked.items() if one.finding.ok is None} == {"s3", "permissions", "clock"}


def test_a_stand_in_has_no_network(tmp_path: Path) -> None:
    """Names of the sandbox exist nowhere: the first look must not fail for that."""
    server = memory_server(tmp_path)
    checked = _checked(server)

    assert checked["dns"].finding.ok is None
    assert checked["rest"].finding.ok is None
    assert server.run().exit_code == 0


def test_a_proxy_looks_names_up_itself(server: Memory, network: FakeNetwork) -> None:
    """Then this machine's resolver has no part in it."""
    network.through_proxy = True
    network.addresses = ()
    checked = _checked(server)

    assert checked["dns"].finding.ok is None
    assert checked["revocation"].finding.ok is None
    assert checked["tcp"].finding.ok is True


def test_a_document_that_cannot_be_had_is_a_finding(server: Memory) -> None:
    """The rest is still looked at."""
    server.parameters.publish("{}")

    assert "document" in _bad(server)
    assert _checked(server)["service"].finding.ok is True


def test_a_new_repository_of_the_region_is_found_later_too(server: Memory) -> None:
    """Somebody adds one a year after the endpoint was adopted."""
    server.run()
    server.fake_vbr.found.append(
        Repository(id="r9", name="Archive", type="AmazonS3", region=REGION, bucket="other", folder="x")
    )

    assert _bad(server) == {"other-repositories"}
    assert "Archive (bucket other)" in _checked(server)["other-repositories"].finding.detail


def test_doctor_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing check says why it matters and what to do; the exit code says that one fails."""
    server = memory_server(tmp_path)
    monkeypatch.setattr(cli, "_client", lambda _configuration, _options: server.client())
    before = cli.main(["doctor", "--config", str(tmp_path / "client.toml")])
    said = capsys.readouterr().out
    server.run()
    after = cli.main(["doctor", "--json", "--config", str(tmp_path / "client.toml")])
    value = json.loads(capsys.readouterr().out)

    assert (before, after) == (22, 0)
    assert "site tokyo: region-file: FAILED" in said
    assert "what to do: `apply` writes it" in said
    assert value["exit_code"] == 0
    assert {"site", "id", "ok", "detail", "title", "why", "remedy"} == set(value["checks"][0])


# The real network, on 127.0.0.1.


@pytest.fixture(name="listener")
def _listener(ca: SandboxCa) -> Iterator[tuple[str, int]]:
    """A TLS server that shows a certificate for whatever name is asked for, behind a proxy that tunnels."""
    server = socket.create_server(("127.0.0.1", 0))
    context = ca.multi_host_context()
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _address = server.accept()
            except OSError:
                return
            with connection:
                try:
                    head = connection.recv(1000)
                    refused = b"refused.example" in head
                    connection.sendall(
                        b"HTTP/1.1 403 No\r\n\r\n" if refused else b"HTTP/1.1 200 Established\r\n\r\n"
                    )
                    if not refused:
                        context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()
    ended.set()
    socket.create_connection(server.getsockname()).close()
    server.close()
    thread.join()


def test_the_real_network_shakes_hands_through_a_proxy(ca: SandboxCa, listener: tuple[str, int]) -> None:
    """With the name that was asked for, and everything checked."""
    network = SystemNetwork(proxy=f"http://127.0.0.1:{listener[1]}", ca_file=ca.file)

    assert network.through_proxy
    assert network.certificate("s3.example").expires
    with pytest.raises(NetworkError, match=r"refused refused\.example:443"):
        network.connect("refused.example", 443)


def test_the_real_network_distrusts_another_ca(
    tmp_path_factory: pytest.TempPathFactory, listener: tuple[str, int]
) -> None:
    """TLS inspection looks like this."""
    other = SandboxCa(tmp_path_factory.mktemp("other"))
    network = SystemNetwork(proxy=f"http://127.0.0.1:{listener[1]}", ca_file=other.file)

    with pytest.raises(NetworkError, match="not trusted"):
        network.certificate("s3.example")


def test_the_real_network_says_what_it_cannot_reach() -> None:
    """In the system's own words."""
    network = SystemNetwork(proxy=None, ca_file=None)

    assert "127.0.0.1" in network.resolve("localhost")
    assert network.resolve("no-such-name.invalid") == ()
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:1: "):
        network.connect("127.0.0.1", 1)


def test_a_name_of_another_site_is_no_key(server: Memory) -> None:
    """Secrets are looked up by site."""
    server.secrets.values = {repository_secret(names.SiteName("osaka")): Secret("x")}

    assert _checked(server)["s3"].finding.ok is None
