"""
Documents, reports, settings and requests that somebody has got at: the product takes exactly those that the
tests' own rules take, refuses the others in one sentence, and raises nothing else.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contract.documents import AdoptionReport, EndpointDocument
from contract.errors import ContractError
from contract.settings import SiteSettings
from lambdas.acquire_lease.request import reconcile_request
from lambdas.core.errors import InvalidRequestError
from tests.contract.golden_documents import KINDS, paths
from tests.proofs.mutations import mutated, mutated_text, put_together
from tests.proofs.oracle import accepts, accepts_request

Record = Callable[[str, object], None]

READERS: dict[str, Callable[[str], object]] = {
    "endpoint document": EndpointDocument.from_json,
    "adoption report": AdoptionReport.from_json,
    "site settings": SiteSettings.from_json,
}
KIND_OF = {
    EndpointDocument: "endpoint document",
    AdoptionReport: "adoption report",
    SiteSettings: "site settings",
}
GOLDEN: dict[str, list[Any]] = {name: [] for name in READERS}
for beginning, kind in KINDS.items():
    GOLDEN[KIND_OF[kind]] += [json.loads(path.read_text()) for path in paths(beginning)]

GRANT = {"principal": "arn:aws:iam::111122223333:role/auditor", "hours": 24, "reason": "Restore test"}


def _event(kind: str, detail: dict[str, Any], *, source: str = "vbr-privatelink") -> dict[str, Any]:
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": kind,
        "source": source,
        "account": "111122223333",
        "time": "2026-01-31T22:00:00Z",
        "region": "ap-northeast-1",
        "resources": [],
        "detail": detail,
    }


REQUESTS: list[Any] = [
    {"site": "tokyo"},
    {"site": "tokyo", "intent": "provisioned"},
    {"site": "tokyo", "intent": "released", "force": True},
    {"site": "tokyo", "purpose": "check"},
    {"site": "tokyo", "purpose": "pending", "intent": None, "grant": None},
    {"site": "tokyo", "purpose": "reconcile", "force": False, "grant": GRANT},
    _event("Provision Requested", {"site": "tokyo"}),
    _event("Release Requested", {"site": "tokyo", "force": True}),
    _event("Check Requested", {"site": "tokyo"}),
    _event("Access Grant Requested", {"site": "tokyo", **GRANT}),
    _event(
        "Parameter Store Change",
        {"name": "/vbr-privatelink/tokyo/adoption/vbr01", "operation": "Update", "type": "String"},
        source="aws.ssm",
    ),
]

few_and_many = pytest.mark.parametrize(
    "examples", [400, pytest.param(4000, marks=pytest.mark.long)], ids=["few", "many"]
)


def hostile(examples: int) -> settings:
    """The same examples on every machine."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def assert_one_sentence(text: str) -> None:
    """What goes to consoles and logs: one line, ASCII, not endless, nothing of Python in it."""
    assert 0 < len(text) < 1000
    assert text.isascii()
    assert text.isprintable()
    assert "Traceback" not in text


@few_and_many
@pytest.mark.parametrize("kind", READERS)
def test_a_document_is_taken_when_and_only_when_the_rules_take_it(
    kind: str, examples: int, record_property: Record
) -> None:
    """Both ways: what slips through leads backups elsewhere, what is refused wrongly stops them."""
    read, seen, counts = READERS[kind], set[str](), Counter[str]()

    @hostile(examples)
    @given(text=mutated_text(GOLDEN[kind]))
    def each(text: str) -> None:
        seen.add(text)
        try:
            read(text)
            taken = True
        except ContractError as error:
            taken = False
            assert_one_sentence(str(error))

        assert taken == accepts(kind, text), f"{'taken' if taken else 'refused'} by the product: {text!a}"
        counts["taken" if taken else "refused"] += 1

    each()

    assert counts["taken"] > examples / 20
    assert counts["refused"] > examples / 3
    record_property("figures", f"{kind}: {len(seen)} mutated documents, {dict(counts)}, nothing else raised")


@pytest.mark.parametrize("kind", READERS)
def test_the_golden_documents_are_taken_by_both(kind: str) -> None:
    """Otherwise the rules speak of other documents than the product writes."""
    assert GOLDEN[kind]
    for document in GOLDEN[kind]:
        assert accepts(kind, json.dumps(document))
        READERS[kind](json.dumps(document))


@few_and_many
def test_a_request_is_taken_when_and_only_when_the_rules_take_it(
    examples: int, record_property: Record
) -> None:
    """Whoever may start a run, or send an event, must not be able to ask for more than a request can say."""
    seen, counts = set[str](), Counter[str]()

    @hostile(examples)
    @given(request=mutated(REQUESTS).map(put_together))
    @example(request=None)
    @example(request=[])
    @example(request="tokyo")
    def each(request: Any) -> None:
        seen.add(json.dumps(request))
        try:
            reconcile_request(request)
            taken = True
        except InvalidRequestError as error:
            taken = False
            assert_one_sentence(str(error))

        assert taken == accepts_request(request), f"{'taken' if taken else 'refused'}: {request!a}"
        counts["taken" if taken else "refused"] += 1

    each()

    assert counts["taken"] > examples / 20
    assert counts["refused"] > examples / 3
    record_property("figures", f"requests: {len(seen)} mutated ones, {dict(counts)}, nothing else raised")


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: str(request.get("detail-type", "plain")))
def test_the_requests_that_are_mutated_are_good(request_: Any) -> None:
    """A mutation of something that is refused anyway would prove little."""
    assert accepts_request(request_)
    reconcile_request(request_)


def test_text_that_is_no_document_at_all_is_refused_by_both(record_property: Record) -> None:
    """Not even JSON, or JSON of something else."""
    counts = Counter[str]()

    @hostile(500)
    @given(text=st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
    def each(text: str) -> None:
        for kind, read in READERS.items():
            with pytest.raises(ContractError) as refusal:
                read(text)
            assert_one_sentence(str(refusal.value))
            assert not accepts(kind, text)
        counts["refused"] += 1

    each()

    record_property("figures", f"any text: {counts['refused']}, all refused")
