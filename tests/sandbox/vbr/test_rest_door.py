"""What every REST call passes: TLS, revision, token, path, shape, and the log without secrets."""

import socket
import ssl
import threading

import pytest
import urllib3

from sandbox.certificates import SandboxCa
from sandbox.vbr.access_tokens import AccessTokens, TokenState
from sandbox.vbr.faults import Faults
from tests.sandbox.vbr.conftest import StartVbr
from tests.sandbox.vbr.vbr_client import SECRET_KEY, VbrClient, json_lines


def test_certificate_of_another_authority_is_not_accepted(client: VbrClient) -> None:
    """A client that skips the check would talk to anybody; one that checks must be able to fail."""
    with urllib3.PoolManager(retries=False) as pool, pytest.raises(urllib3.exceptions.SSLError):
        pool.request("GET", client.vbr.url)


def test_silent_connection_keeps_nobody_waiting(client: VbrClient) -> None:
    """A port scanner must not stop the demo."""
    with socket.create_connection(("127.0.0.1", int(client.vbr.url.rpartition(":")[2]))):
        status, _ = client.send("GET", "/api/v1/serverInfo")

        assert status == 200


def test_old_tls_is_refused(start_vbr: StartVbr, ca: SandboxCa) -> None:
    """The real server's certificate is worth little over a broken protocol."""
    tls = ca.server_context(accept_outdated_tls=True)

    with pytest.raises(ValueError, match=r"TLS 1\.2"):
        start_vbr(tls=tls)


def test_context_of_the_tests_is_modern(ca: SandboxCa) -> None:
    """The test above would pass for the wrong reason if every context were refused."""
    assert ca.server_context().minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("revision", ["", "1.3-rev1", "1.2-REV1"])
def test_wrong_revision_is_refused_with_an_error_body(client: VbrClient, revision: str) -> None:
    """A client finds the revision by probing."""
    status, document = client.send("GET", "/api/v1/serverInfo", headers={"x-api-version": revision})

    assert status == 400
    assert set(document) == {"errorCode", "message"}


def test_older_revision_can_be_accepted_beside(start_vbr: StartVbr) -> None:
    """Probing from the newest down must stop at the newest."""
    client = start_vbr(older_revisions=("1.1-rev0",))
    _, newer = client.send("GET", "/api/v1/serverInfo")
    _, older = client.send("GET", "/api/v1/serverInfo", headers={"x-api-version": "1.1-rev0"})

    assert "databaseVendor" in newer
    assert "databaseVendor" not in older


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("GET", "/api/v1/nothing", 404), ("PUT", "/api/v1/serverInfo", 405), ("GET", "/api/v1/sessions/x", 404)],
)
def test_unknown_paths_and_methods_are_errors(
    client: VbrClient, method: str, path: str, expected: int
) -> None:
    """A wrong path must not look like an empty answer."""
    assert client.send(method, path)[0] == expected


@pytest.mark.parametrize("query", ["?unheardOf=1", "?stateFilter=working", "?skip=-1"])
def test_query_is_checked(client: VbrClient, query: str) -> None:
    """A filter that is ignored would show everything and hide the mistake."""
    assert client.send("GET", f"/api/v1/sessions{query}")[0] == 400


def test_call_without_a_token_is_refused(client: VbrClient) -> None:
    """Every call but the login needs one."""
    client.token = ""

    assert client.send("GET", "/api/v1/serverInfo")[0] == 401


def test_wrong_password_gives_no_token(client: VbrClient) -> None:
    """The product's own secret has to reach the server unharmed."""
    status, document = client.log_in("wrong")

    assert status == 401
    assert "access_token" not in document


def test_access_token_expires() -> None:
    """Fifteen minutes are shorter than a drain."""
    now = [0.0]
    tokens = AccessTokens(user="a", password="b", lifetime=lambda: 900.0, clock=lambda: now[0])
    pair = tokens.log_in("A", "b")

    assert pair is not None
    assert tokens.state(pair.access) is TokenState.VALID
    now[0] = 900.0
    assert tokens.state(pair.access) is TokenState.EXPIRED


def test_expired_token_is_refused_and_renewed_once(client: VbrClient) -> None:
    """A refresh token works a single time."""
    _, tokens = client.log_in()
    client.vbr.inject(Faults(token_lifetime=0.0))
    expired, document = client.send("GET", "/api/v1/serverInfo")
    client.vbr.inject(Faults())
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    first, renewed = client.send("POST", "/api/oauth2/token", form=form)
    second, _ = client.send("POST", "/api/oauth2/token", form=form)
    client.token = renewed["access_token"]

    assert (expired, document["errorCode"]) == (401, "ExpiredToken")
    assert (first, second) == (200, 401)
    assert client.send("GET", "/api/v1/serverInfo")[0] == 200
    assert {"expires_in", "token_type", ".issued", ".expires"} <= set(renewed)


def test_restart_forgets_tokens(client: VbrClient) -> None:
    """Whether the real server does is unknown, so the client has to cope."""
    token = client.token
    client.restart()
    client.token = token

    assert client.send("GET", "/api/v1/serverInfo")[0] == 401


def test_unavailable_on_demand(client: VbrClient) -> None:
    """503 is documented nowhere and happens."""
    client.vbr.inject(Faults(rest_unavailable=True))

    assert client.send("GET", "/api/v1/serverInfo")[0] == 503


def test_request_log_holds_every_request_and_no_secret(client: VbrClient) -> None:
    """People send this file to each other."""
    _, tokens = client.log_in()
    credential = client.add_credential()
    client.post(f"/api/v1/cloudCredentials/{credential}/changeSecretKey", {"newSecretKey": "another-secret"})
    client.send("GET", f"/api/v1/cloudCredentials?nameFilter={client.vbr.password}")
    client.send("POST", "/api/v1/cloudCredentials", body={"accessKey": SECRET_KEY})
    client.send("GET", "/api/v1/cloudCredentials?password=short")
    file = client.vbr.folder / "requests.jsonl"
    lines = json_lines(file)
    login = next(line for line in lines if line["path"] == "/api/oauth2/token")

    assert set(login) == {"at", "method", "path", "headers", "body", "status", "response"}
    assert login["body"] == {"grant_type": "password", "username": "administrator", "password": "***"}
    assert (login["response"]["access_token"], login["response"]["token_type"]) == ("***", "bearer")
    assert lines[-1]["headers"]["authorization"] == "***"
    assert lines[-1]["path"].endswith("?password=***")
    for secret in (
        client.vbr.password,
        SECRET_KEY,
        "another-secret",
        tokens["access_token"],
        tokens["refresh_token"],
    ):
        assert secret not in file.read_text()


def test_body_that_is_not_json_is_refused_and_not_kept(client: VbrClient) -> None:
    """What can't be read can't be masked."""
    headers = {"Content-Type": "application/json"}
    url = f"{client.vbr.url}/api/v1/cloudCredentials"
    sent = {"x-api-version": "1.2-rev1", "Authorization": f"Bearer {client.token}", **headers}
    answer = client._pool.request("POST", url, body=b'{"secretKey": "half', headers=sent)

    assert answer.status == 400
    assert "half" not in (client.vbr.folder / "requests.jsonl").read_text()


def test_stop_leaves_no_thread_and_no_port(start_vbr: StartVbr, ca: SandboxCa) -> None:
    """`make demo` leaves nothing behind, even with work going on and a connection open."""
    before = set(threading.enumerate())
    client = start_vbr(session_duration=30.0)
    client.post("/api/v1/configBackup/backup")
    client.vbr.stop()
    port = int(client.vbr.url.rpartition(":")[2])

    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    assert ca.file.exists()
