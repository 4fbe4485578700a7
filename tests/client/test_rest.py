"""Signing in, trying again and giving up, against a server that says what the test wants."""

import json
import logging
import traceback
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest

from onprem_client.errors import VbrError, VbrMissingError, VbrSignInError
from onprem_client.secret import Secret
from onprem_client.veeam.connection import NoAnswerError, NotSentError, Reply, Request
from onprem_client.veeam.rest import Rest
from onprem_client.veeam.revisions import NEWEST_FIRST
from onprem_client.veeam.server import RestVbr
from tests.client.server import FakeClock

PASSWORD = "pass+word/of the account"
Step = Reply | Exception


class ScriptedConnection:
    """Knows one revision, hands out tokens, and answers calls from a list; the last answer is for ever."""

    def __init__(self, *steps: Step, revision: str = "1.2-rev1", lifetime: float = 900) -> None:
        self.steps: list[Step] = list(steps) or [Reply(200, {})]
        self.revision = revision
        self.lifetime = lifetime
        self.requests: list[Request] = []
        self.sign_in: Callable[[dict[str, str]], Reply] = self._token
        self.tokens = 0

    def send(self, request: Request) -> Reply:
        self.requests.append(request)
        if request.headers["x-api-version"] != self.revision:
            return Reply(400, {"errorCode": "UnexpectedContent", "message": "unknown revision"})
        if request.path == "/api/oauth2/token":
            return self.sign_in(dict(parse_qsl((request.body or b"").decode())))
        step = self.steps[0] if len(self.steps) == 1 else self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def _token(self, form: dict[str, str]) -> Reply:
        self.tokens += 1
        names = {"access_token": f"access-{self.tokens}", "refresh_token": f"refresh-{self.tokens}"}
        return Reply(200, {**names, "expires_in": self.lifetime, "grant": form["grant_type"]})

    def forms(self) -> list[dict[str, str]]:
        return [
            dict(parse_qsl((request.body or b"").decode()))
            for request in self.requests
            if request.path == "/api/oauth2/token" and request.headers["x-api-version"] == self.revision
        ]

    def calls(self) -> list[Request]:
        return [request for request in self.requests if request.path != "/api/oauth2/token"]


def _rest(connection: ScriptedConnection, clock: FakeClock | None = None, patience: float = 60.0) -> Rest:
    return Rest(
        connection,
        user="administrator",
        password=lambda: Secret(PASSWORD),
        clock=clock or FakeClock(),
        patience=patience,
    )


@pytest.mark.parametrize("revision", [each.name for each in NEWEST_FIRST])
def test_the_revision_is_found_from_the_newest_down(revision: str) -> None:
    """No call lists them; and once found it is not looked for again."""
    connection = ScriptedConnection(revision=revision)
    rest = _rest(connection)
    rest.call("GET", "/x")
    rest.call("GET", "/x")
    tried = [request.headers["x-api-version"] for request in connection.requests]
    names = [each.name for each in NEWEST_FIRST]

    assert rest.revision().name == revision
    assert tried == [*names[: names.index(revision) + 1], revision, revision]
    assert connection.forms()[0]["grant_type"] == rest.revision().password_grant


def test_a_server_that_knows_no_revision_is_not_vbr() -> None:
    """Somebody has typed another server's address."""
    with pytest.raises(VbrError, match=r"none of the REST revisions 1\.1-rev0 to 1\.3-rev2"):
        _rest(ScriptedConnection(revision="9.9-rev9")).call("GET", "/x")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_password_is_tried_once(status: int) -> None:
    """Five wrong sign-ins lock the account, and the scheduled task comes every ten minutes."""
    connection = ScriptedConnection()
    connection.sign_in = lambda _form: Reply(status, {"errorCode": "AccessDenied", "message": "wrong"})

    with pytest.raises(VbrSignInError, match="secret set vbr-password"):
        _rest(connection).call("GET", "/x")

    assert len(connection.forms()) == 1


def test_a_token_that_is_no_longer_accepted_is_replaced_once() -> None:
    """A restart of the service may forget all tokens."""
    connection = ScriptedConnection(Reply(401, None), Reply(200, {"x": 1}))
    answer = _rest(connection).call("GET", "/x")

    assert answer == {"x": 1}
    assert [form["grant_type"] for form in connection.forms()] == ["password", "password"]
    assert [call.headers["Authorization"] for call in connection.calls()] == [
        "Bearer access-1",
        "Bearer access-2",
    ]


def test_a_server_that_refuses_every_token_is_an_error() -> None:
    """It must not become a loop."""
    connection = ScriptedConnection(Reply(401, {"message": "no"}))

    with pytest.raises(VbrError, match="401: no"):
        _rest(connection).call("GET", "/x")

    assert len(connection.calls()) == 2


def test_a_token_near_its_end_is_refreshed_and_the_refresh_token_used_once() -> None:
    """A drain takes longer than a token lives."""
    connection, clock = ScriptedConnection(), FakeClock()
    rest = _rest(connection, clock)
    for _again in range(3):
        rest.call("GET", "/x")
        clock.sleep(880)

    forms = connection.forms()

    assert [form["grant_type"] for form in forms] == ["password", "refresh_token", "refresh_token"]
    assert [form.get("refresh_token") for form in forms] == [None, "refresh-1", "refresh-2"]


def test_a_refused_refresh_token_ends_in_a_sign_in() -> None:
    """The password still works."""
    connection, clock = ScriptedConnection(), FakeClock()
    tokens = connection.sign_in
    connection.sign_in = lambda form: Reply(401, None) if "refresh_token" in form else tokens(form)
    rest = _rest(connection, clock)
    rest.call("GET", "/x")
    clock.sleep(880)
    rest.call("GET", "/x")

    assert [form["grant_type"] for form in connection.forms()] == ["password", "refresh_token", "password"]


@pytest.mark.parametrize(
    "trouble", [Reply(503, None), Reply(429, None), NotSentError("refused"), NoAnswerError("silence")]
)
def test_what_passes_is_waited_for(trouble: Step) -> None:
    """VBR answers 503 for a minute after a restart."""
    connection, clock = ScriptedConnection(*[trouble] * 10, Reply(200, {"x": 1})), FakeClock()
    answer = _rest(connection, clock).call("GET", "/x")

    assert answer == {"x": 1}
    assert 10 < clock.monotonic() < 60


@pytest.mark.parametrize("trouble", [Reply(503, {"message": "later"}), NotSentError("refused")])
def test_what_does_not_pass_ends_at_the_deadline(trouble: Step) -> None:
    """Nobody waits for ever with jobs disabled."""
    clock = FakeClock()

    with pytest.raises(VbrError, match=r"later|refused"):
        _rest(ScriptedConnection(trouble), clock).call("GET", "/x")

    assert 60 <= clock.monotonic() < 65


def test_the_sign_in_is_waited_for_too() -> None:
    """It is the first call that meets a server that isn't ready."""
    connection, clock = ScriptedConnection(), FakeClock()
    tokens, answers = connection.sign_in, iter([Reply(503, None)] * 5)
    connection.sign_in = lambda form: next(answers, None) or tokens(form)
    _rest(connection, clock).call("GET", "/x")

    assert clock.monotonic() > 5


@pytest.mark.parametrize("trouble", [NoAnswerError("silence"), Reply(502, None), Reply(504, None)])
def test_what_may_have_been_done_is_not_done_again(trouble: Step) -> None:
    """Two credentials, two repositories: the next look decides, not a second try."""
    connection = ScriptedConnection(trouble)

    with pytest.raises(VbrError):
        _rest(connection).call("POST", "/x", repeatable=False)

    assert len(connection.calls()) == 1


def test_what_was_certainly_not_done_is_done_again() -> None:
    """The connection was refused: nothing has happened yet."""
    connection = ScriptedConnection(NotSentError("refused"), Reply(503, None), Reply(201, {"id": "1"}))

    assert _rest(connection).call("POST", "/x", repeatable=False) == {"id": "1"}


@pytest.mark.parametrize("status", [301, 400, 405, 409, 500])
def test_a_refusal_is_final_and_says_why(status: int) -> None:
    """A redirect counts as one: it would carry the token to another host."""
    connection = ScriptedConnection(Reply(status, {"ErrorCode": "x", "Message": "because"}))

    with pytest.raises(VbrError, match=f"{status}: because") as error:
        _rest(connection).call("GET", "/x")

    assert error.value.status == status
    assert len(connection.calls()) == 1


def test_a_missing_object_has_an_error_of_its_own() -> None:
    """A job that somebody deleted meanwhile can't be enabled again, and need not be."""
    with pytest.raises(VbrMissingError):
        _rest(ScriptedConnection(Reply(404, None))).call("GET", "/x")


def test_no_error_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Tracebacks, logs and reports are read by many."""
    caplog.set_level(logging.DEBUG)
    key = "s3cret-key"
    secrets = (PASSWORD, "access-1", "refresh-1", key, PASSWORD.replace(" ", "+"))
    said: list[str] = []
    for steps in ([Reply(500, None)], [NoAnswerError("silence")], [Reply(401, None)]):
        rest = _rest(ScriptedConnection(*steps))
        try:
            RestVbr(rest).add_credential("AKIAEXAMPLE", Secret(key), "x")
        except VbrError as error:
            said += [str(error), repr(error), "".join(traceback.format_exception(error)), repr(rest)]
            said.append(repr(vars(rest)))

    assert len(said) == 15
    assert not [secret for secret in secrets for text in (*said, caplog.text) if secret in text]


def _pages(entries: Sequence[dict[str, Any]], size: int) -> list[Step]:
    return [
        Reply(200, {"Data": entries[at : at + size], "Pagination": {"Total": len(entries)}})
        for at in range(0, len(entries), size)
    ]


def test_lists_are_read_page_by_page_and_without_case() -> None:
    """A server with 300 jobs has more than one page; a job that isn't seen would not be put aside."""
    entries = [{"Id": f"j{number}", "NAME": f"job {number}", "Status": "Inactive"} for number in range(450)]
    connection = ScriptedConnection(*_pages(entries, 200))
    jobs = RestVbr(_rest(connection)).jobs()

    assert [job.name for job in jobs] == [f"job {number}" for number in range(450)]
    assert [request.path.partition("skip=")[2][:3] for request in connection.calls()] == ["0&l", "200", "400"]


@pytest.mark.parametrize(
    ("status", "enabled"),
    [("disabled", False), ("Disabled", False), ("INACTIVE", True), ("Starting", True), ("Quarantined", None)],
)
def test_a_status_is_read_without_case_and_an_unknown_one_is_not_guessed(
    status: str, enabled: bool | None
) -> None:
    """A newer VBR may have a word that we don't know; such a job is neither disabled nor enabled by us."""
    page = Reply(200, {"data": [{"id": "1", "name": "x", "status": status, "extra": {"new": True}}]})

    assert RestVbr(_rest(ScriptedConnection(page))).jobs()[0].enabled is enabled


@pytest.mark.parametrize("document", [None, [], {"data": None}, {"data": "x"}, "text"])
def test_an_answer_without_a_list_is_an_error_and_not_an_empty_list(document: object) -> None:
    """`no jobs` would mean: nothing to put aside."""
    with pytest.raises(VbrError, match="without a list"):
        RestVbr(_rest(ScriptedConnection(Reply(200, document)))).jobs()


@pytest.mark.parametrize("value", [None, 7, "", "../../x", "a/b", "a?b", "x" * 65])
def test_an_id_that_is_none_never_becomes_an_address(value: object) -> None:
    """Ids come from the server and go into paths."""
    page = Reply(200, {"data": [{"id": value, "name": "x", "status": "inactive"}]})

    with pytest.raises(VbrError, match="usable id"):
        RestVbr(_rest(ScriptedConnection(page))).jobs()


def test_bodies_are_json_in_utf_8() -> None:
    """What leaves is what the API reads."""
    connection = ScriptedConnection(Reply(201, {"id": "c1"}))
    RestVbr(_rest(connection)).add_credential("AKIAEXAMPLE", Secret("k"), "for Tōkyō")
    (call,) = connection.calls()

    assert json.loads(call.body or b"") == {
        "type": "Amazon",
        "accessKey": "AKIAEXAMPLE",
        "secretKey": "k",
        "description": "for Tōkyō",
    }
    assert call.headers["Content-Type"] == "application/json"
