"""Who starts a run says which site, and at most what it should be; everything else is refused."""

from typing import Any

import pytest

from lambdas.acquire_lease.request import ReconcileRequest, reconcile_request
from lambdas.core.errors import InvalidRequestError

EVENT: dict[str, Any] = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Provision Requested",
    "source": "vbr-privatelink",
    "account": "111122223333",
    "time": "2026-01-31T22:00:00Z",
    "region": "ap-northeast-1",
    "resources": [],
    "detail": {"site": "tokyo"},
}


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ({"site": "tokyo"}, ReconcileRequest(site="tokyo")),
        ({"site": "tokyo", "intent": None}, ReconcileRequest(site="tokyo")),
        ({"site": "tokyo", "intent": "provisioned"}, ReconcileRequest(site="tokyo", intent="provisioned")),
        (EVENT, ReconcileRequest(site="tokyo", intent="provisioned")),
    ],
)
def test_a_request_is_understood(sent: object, understood: ReconcileRequest) -> None:
    """Plain input for people and schedules, a whole event for EventBridge."""
    assert reconcile_request(sent) == understood


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "site"),
        ({"site": "Tokyo"}, "site"),
        ({"site": "tokyo\n"}, "site"),
        ({"site": ""}, "site"),
        ({"site": "t" * 33}, "site"),
        ({"site": 5}, "site"),
        ({"site": None}, "site"),
        ({"site": "t\u043ekyo"}, "site"),
        ({"site": "tokyo", "bucket": "mine"}, "bucket"),
        ({"site": "tokyo", "intent": "released"}, "intent"),
        ({"site": "tokyo", "intent": "Provisioned"}, "intent"),
        ({"site": "tokyo", "onprem_cidrs": ["0.0.0.0/0"]}, "onprem_cidrs"),
        ("tokyo", "request"),
        (["tokyo"], "request"),
        (None, "request"),
        (7, "request"),
        ({**EVENT, "source": "aws.ssm"}, "detail-type"),
        ({**EVENT, "source": None}, "detail-type"),
        ({**EVENT, "detail-type": "Release Everything"}, "detail-type"),
        ({**EVENT, "detail-type": None}, "detail-type"),
        ({**EVENT, "detail-type": {}}, "detail-type"),
        ({**EVENT, "detail": {}}, "site"),
        ({**EVENT, "detail": {"site": "tokyo", "force": True}}, "force"),
        ({**EVENT, "detail": {"site": "tokyo", "intent": "released"}}, "intent"),
        ({**EVENT, "detail": "tokyo"}, "request"),
        ({name: value for name, value in EVENT.items() if name != "detail"}, "request"),
        ({name: value for name, value in EVENT.items() if name != "source"}, "detail-type"),
    ],
)
def test_any_other_request_is_refused_naming_the_field(sent: object, field: str) -> None:
    """Whoever may start a run must not be able to widen what it does."""
    with pytest.raises(InvalidRequestError) as refusal:
        reconcile_request(sent)

    assert str(refusal.value).startswith(f"{field}: ")
    assert str(refusal.value).isascii()


def test_an_unknown_field_is_refused_with_the_fix() -> None:
    """The message is all that the person at the console sees."""
    with pytest.raises(InvalidRequestError, match=r"^bucket: is not a known field; remove it$"):
        reconcile_request({"site": "tokyo", "bucket": "mine"})


def test_a_refusal_stays_short_whatever_was_sent() -> None:
    """It becomes the execution's cause, which has a limit of its own; over it, the reason is lost."""
    flood = {f"{'x' * 1000}{number}": 1 for number in range(200)}

    with pytest.raises(InvalidRequestError) as refusal:
        reconcile_request({"site": "tokyo", **flood})

    assert len(str(refusal.value)) < 2000
