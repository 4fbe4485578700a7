"""
VBR's answers, when something else answers in its place: the client takes what has what it needs, and says
VbrError to the rest; a lost or lying server must not become a traceback in the middle of a restart.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onprem_client.errors import VbrError
from onprem_client.secret import Secret
from onprem_client.veeam.connection import Reply, Request, _document
from onprem_client.veeam.protocols import Repository
from onprem_client.veeam.rest import Rest
from onprem_client.veeam.server import RestVbr
from tests.client.server import FakeClock
from tests.proofs.mutations import damaged_bytes, mutated_text
from tests.proofs.oracle import accepts_answer
from tests.proofs.test_hostile_documents import few_and_many, hostile

Record = Callable[[str, object], None]

ID = "6745a759-2205-4cd2-b172-8ec8f7e60ef8"
REPOSITORY = Repository(id=ID, name="tokyo", type="AmazonS3")
PAGING = {"total": 2, "count": 2, "skip": 0, "limit": 200}


def _listed(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(entries), "pagination": PAGING}


# Of each call: the answers that are mutated, and how the client asks for them.
CALLS: dict[str, tuple[list[Any], Callable[[RestVbr], object]]] = {
    "info": (
        [{"vbrId": ID, "name": "vbr01", "buildVersion": "13.0.0.4967", "platform": "Windows"}],
        lambda vbr: vbr.info(),
    ),
    "jobs": (
        [_listed({"id": ID, "name": "nightly", "status": "inactive"}, {"id": "2", "status": "Disabled"})],
        lambda vbr: vbr.jobs(),
    ),
    "repositories": (
        [
            _listed(
                {
                    "id": ID,
                    "name": "tokyo",
                    "type": "AmazonS3",
                    "account": {"regionId": "ap-northeast-1", "servicePoint": None},
                    "bucket": {
                        "bucketName": "vbr-tokyo",
                        "folderName": "vbr01",
                        "immutability": {"isEnabled": True, "daysCount": 30},
                    },
                },
                {"id": "2", "name": "Default", "type": "WinLocal"},
            )
        ],
        lambda vbr: vbr.repositories(),
    ),
    "online": (
        [_listed({"id": ID, "isOnline": True}, {"id": "2", "isOnline": False})],
        lambda vbr: vbr.is_online(REPOSITORY),
    ),
    "credentials": (
        [_listed({"id": ID, "accessKey": "AKIAIOSFODNN7EXAMPLE", "type": "Amazon"}, {"type": "Azure"})],
        lambda vbr: vbr.credentials(),
    ),
    "managed servers": (
        [_listed({"id": ID, "name": "VBR01"}, {"id": "2", "name": "gateway"})],
        lambda vbr: vbr.managed_servers(),
    ),
    "session": (
        [
            {
                "id": ID,
                "name": "nightly",
                "sessionType": "Backup",
                "state": "Stopped",
                "jobId": ID,
                "result": {"result": "Success", "message": "done"},
            }
        ],
        lambda vbr: vbr.session(ID),
    ),
    "configuration backup": ([{"id": ID}], lambda vbr: vbr.back_up_configuration()),
}


class Answering:
    """Signs everybody in, and answers each first page with one content."""

    def __init__(self, content: bytes, status: int = 200) -> None:
        self.content = content
        self.status = status

    def send(self, request: Request) -> Reply:
        if request.path == "/api/oauth2/token":
            return Reply(200, {"access_token": "token", "expires_in": 900})
        if parse_qs(urlsplit(request.path).query).get("skip", ["0"]) != ["0"]:
            return Reply(200, {"data": []})
        return Reply(self.status, _document(self.content))


class Signing:
    """Answers a sign-in with one content, and every call with an empty object."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def send(self, request: Request) -> Reply:
        return Reply(200, _document(self.content) if request.path == "/api/oauth2/token" else {})


def rest(connection: Answering | Signing, clock: FakeClock | None = None) -> Rest:
    """An account on a server that answers with *connection*."""
    return Rest(
        connection,
        user="administrator",
        password=lambda: Secret("password"),
        clock=clock or FakeClock(),
        patience=10.0,
    )


def taken(ask: Callable[[], object]) -> bool:
    """Ask, and say whether there was an answer; anything but an answer and a VbrError comes out."""
    try:
        ask()
    except VbrError as error:
        refusal = str(error)
    else:
        return True
    assert refusal.isprintable()
    assert 0 < len(refusal) < 1000
    return False


@few_and_many
def test_an_answer_is_taken_when_and_only_when_it_has_what_is_needed(
    examples: int, record_property: Record
) -> None:
    """One that is refused too eagerly keeps a job from being enabled again; one that slips through lies."""
    counts = Counter[str]()
    seen = set[tuple[str, str]]()

    @hostile(examples)
    @given(
        data=st.sampled_from(sorted(CALLS)).flatmap(
            lambda kind: st.tuples(st.just(kind), mutated_text(CALLS[kind][0]))
        )
    )
    def each(data: tuple[str, str]) -> None:
        kind, text = data
        seen.add(data)
        content = text.encode("utf-8", "surrogatepass")
        ask = CALLS[kind][1]
        vbr = RestVbr(rest(Answering(content)))
        answered = taken(lambda: ask(vbr))

        assert answered == accepts_answer(kind, _document(content)), f"{kind}: {text!a}"
        counts["taken" if answered else "refused"] += 1

    each()

    assert counts["taken"] > examples / 20
    assert counts["refused"] > examples / 20
    record_property("figures", f"REST answers: {len(seen)} mutated ones, {dict(counts)}, nothing else raised")


@few_and_many
def test_whatever_comes_back_with_whatever_status_is_an_answer_or_a_vbr_error(
    examples: int, record_property: Record
) -> None:
    """A proxy's login page, half an answer, another server's bytes."""
    counts = Counter[str]()
    statuses = st.sampled_from(
        (200, 200, 201, 202, 204, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 999)
    )
    pieces = (b"\x00", b"\xff\xfe", b"<html>", b"\x1f\x8b", b"9" * 5000, b"[" * 3000, b"1e999", b'\\ud800"')

    @hostile(examples // 2)
    @given(
        kind=st.sampled_from(sorted(CALLS)),
        status=statuses,
        data=st.data(),
    )
    def each(kind: str, status: int, data: st.DataObject) -> None:
        good = json.dumps(CALLS[kind][0][0]).encode()
        content = data.draw(damaged_bytes(good, pieces))
        ask = CALLS[kind][1]
        vbr = RestVbr(rest(Answering(content, status)))
        answered = taken(lambda: ask(vbr))

        assert answered == (200 <= status < 300 and accepts_answer(kind, _document(content)))
        counts["taken" if answered else "refused"] += 1

    each()

    record_property("figures", f"REST bytes: {sum(counts.values())}, {dict(counts)}, nothing else raised")


@few_and_many
def test_a_sign_in_is_taken_when_and_only_when_it_has_a_token(examples: int, record_property: Record) -> None:
    """The token goes into a header, its life into sums, and the second token into the next sign-in."""
    counts = Counter[str]()
    answer = {"access_token": "token", "token_type": "bearer", "refresh_token": "again", "expires_in": 900}

    @hostile(examples // 4)
    @given(text=mutated_text([answer]))
    def each(text: str) -> None:
        content = text.encode("utf-8", "surrogatepass")
        clock = FakeClock()
        account = rest(Signing(content), clock)
        answered = taken(lambda: account.call("GET", "/api/v1/serverInfo"))
        clock.sleep(10**6)
        again = taken(lambda: account.call("GET", "/api/v1/serverInfo"))

        assert answered == again == accepts_answer("token", _document(content)), text
        counts["taken" if answered else "refused"] += 1

    each()

    record_property("figures", f"sign-ins: {sum(counts.values())}, {dict(counts)}, nothing else raised")


def test_the_answers_that_are_mutated_are_good() -> None:
    """A mutation of something that is refused anyway would prove little."""
    for kind, (answers, ask) in CALLS.items():
        for answer in answers:
            assert accepts_answer(kind, answer)
            ask(RestVbr(rest(Answering(json.dumps(answer).encode()))))


@pytest.mark.parametrize(
    "lifetime", [10**400, -(10**400), -1, 0], ids=["endless", "endlessly over", "over", "none"]
)
def test_a_life_of_any_length_is_no_reason_to_fall_over(lifetime: int) -> None:
    """A number that no float can hold ended the client in the middle of its work."""
    content = json.dumps({"access_token": "token", "expires_in": lifetime}).encode()

    assert taken(lambda: rest(Signing(content)).call("GET", "/api/v1/serverInfo"))
