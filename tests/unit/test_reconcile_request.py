"""Who starts a run says which site, and at most what it should be; everything else is refused."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from lambdas.acquire_lease.request import Grant, Purpose, ReconcileRequest, is_no_report, reconcile_request
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
PRINCIPAL = "arn:aws:iam::444455556666:role/recovery/reader"
GRANT: dict[str, Any] = {"principal": PRINCIPAL, "hours": 4, "reason": "the data centre burned down"}
REPORT: dict[str, Any] = {
    **EVENT,
    "source": "aws.ssm",
    "detail-type": "Parameter Store Change",
    "detail": {
        "name": "/vbr-privatelink/tokyo/adoption/vbr01.example.local",
        "type": "String",
        "operation": "Update",
    },
}


def event(kind: str, **detail: object) -> dict[str, Any]:
    """Return an event of the product about site tokyo."""
    return {**EVENT, "detail-type": kind, "detail": {"site": "tokyo", **detail}}


def reported(name: object) -> dict[str, Any]:
    """Return Parameter Store's event about a parameter."""
    return {**REPORT, "detail": {**REPORT["detail"], "name": name}}


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ({"site": "tokyo"}, ReconcileRequest(site="tokyo")),
        ({"site": "tokyo", "intent": None}, ReconcileRequest(site="tokyo")),
        ({"site": "tokyo", "intent": "provisioned"}, ReconcileRequest(site="tokyo", intent="provisioned")),
        ({"site": "tokyo", "intent": "released"}, ReconcileRequest(site="tokyo", intent="released")),
        (
            {"site": "tokyo", "intent": "released", "force": True},
            ReconcileRequest(site="tokyo", intent="released", force=True),
        ),
        # What the schedules and the deployment send.
        ({"site": "tokyo", "purpose": "reconcile"}, ReconcileRequest(site="tokyo")),
        ({"site": "tokyo", "purpose": "pending"}, ReconcileRequest(site="tokyo", purpose=Purpose.PENDING)),
        ({"site": "tokyo", "purpose": "check"}, ReconcileRequest(site="tokyo", purpose=Purpose.CHECK)),
        ({"site": "tokyo", "grant": GRANT}, ReconcileRequest(site="tokyo", grant=Grant(**GRANT))),
        (EVENT, ReconcileRequest(site="tokyo", intent="provisioned")),
        (event("Release Requested"), ReconcileRequest(site="tokyo", intent="released")),
        (event("Release Requested", force=False), ReconcileRequest(site="tokyo", intent="released")),
        (
            event("Release Requested", force=True),
            ReconcileRequest(site="tokyo", intent="released", force=True),
        ),
        (event("Check Requested"), ReconcileRequest(site="tokyo", purpose=Purpose.CHECK)),
        (
            event("Access Grant Requested", **GRANT),
            ReconcileRequest(site="tokyo", grant=Grant(**GRANT)),
        ),
        (REPORT, ReconcileRequest(site="tokyo")),
    ],
)
def test_a_request_is_understood(sent: object, understood: ReconcileRequest) -> None:
    """Plain input for people and schedules, a whole event for EventBridge."""
    assert reconcile_request(sent) == understood


@pytest.mark.parametrize(
    "sent",
    [
        REPORT,
        event("Check Requested"),
        event("Access Grant Requested", **GRANT),
        {"site": "tokyo"},
        *({"site": "tokyo", "purpose": purpose} for purpose in Purpose),
    ],
)
def test_only_an_explicit_request_has_an_intent(sent: object) -> None:
    """A report, a schedule, a check or a grant that carried one would bring a released site back."""
    understood = reconcile_request(sent)

    assert understood.intent is None
    assert not understood.force


# A word that looks like "yes" is no decision.
NO_DECISION: list[object] = ["true", "yes", 1, "1", 1.0, None, []]
REFUSED: list[tuple[object, str]] = [
    ({}, "site"),
    ({"site": "Tokyo"}, "site"),
    ({"site": "tokyo\n"}, "site"),
    ({"site": ""}, "site"),
    ({"site": "t" * 33}, "site"),
    ({"site": 5}, "site"),
    ({"site": None}, "site"),
    ({"site": "t\u043ekyo"}, "site"),
    ({"site": "tokyo", "bucket": "mine"}, "bucket"),
    ({"site": "tokyo", "intent": "deleted"}, "intent"),
    ({"site": "tokyo", "intent": "Provisioned"}, "intent"),
    ({"site": "tokyo", "onprem_cidrs": ["0.0.0.0/0"]}, "onprem_cidrs"),
    ({"site": "tokyo", "purpose": "repair"}, "purpose"),
    ({"site": "tokyo", "purpose": None}, "purpose"),
    # What contradicts itself.
    ({"site": "tokyo", "force": True}, "request"),
    ({"site": "tokyo", "force": True, "intent": "provisioned"}, "request"),
    ({"site": "tokyo", "force": True, "purpose": "pending"}, "request"),
    *(
        ({"site": "tokyo", "purpose": purpose, **also}, "request")
        for purpose in ("check", "pending")
        for also in ({"intent": "provisioned"}, {"intent": "released"}, {"grant": GRANT})
    ),
    ({"site": "tokyo", "intent": "released", "grant": GRANT}, "request"),
    *(({"site": "tokyo", "intent": "released", "force": yes}, "force") for yes in NO_DECISION),
    ("tokyo", "request"),
    (["tokyo"], "request"),
    (None, "request"),
    (7, "request"),
    ({**EVENT, "source": "aws.ssm"}, "detail-type"),
    ({**EVENT, "source": "aws.states"}, "detail-type"),
    ({**EVENT, "source": None}, "detail-type"),
    ({**EVENT, "source": ["vbr-privatelink"]}, "detail-type"),
    ({**EVENT, "detail-type": "Release Everything"}, "detail-type"),
    ({**EVENT, "detail-type": None}, "detail-type"),
    ({**EVENT, "detail-type": {}}, "detail-type"),
    # The product's own news must not start anything: it would go round for ever.
    *(
        (event(kind), "detail-type")
        for kind in ("Site Status", "Drift Found", "Access Granted", "Access Ended")
    ),
    ({**REPORT, "source": "vbr-privatelink"}, "detail-type"),
    ({**REPORT, "detail-type": "Parameter Store Policy Action"}, "detail-type"),
    ({**EVENT, "detail": {}}, "site"),
    (event("Provision Requested", force=True), "force"),
    (event("Provision Requested", intent="released"), "intent"),
    (event("Provision Requested", purpose="check"), "purpose"),
    (event("Release Requested", intent="released"), "intent"),
    (event("Release Requested", grant=GRANT), "grant"),
    *((event("Release Requested", force=yes), "force") for yes in NO_DECISION),
    (event("Check Requested", force=True), "force"),
    (event("Check Requested", intent="provisioned"), "intent"),
    (event("Check Requested", purpose="reconcile"), "purpose"),
    (event("Access Grant Requested", **GRANT, intent="provisioned"), "intent"),
    (event("Access Grant Requested", **GRANT, expires_at="2099-01-01T00:00:00Z"), "expires_at"),
    *(
        ({**EVENT, "detail-type": kind, "detail": detail}, field)
        for kind in ("Provision Requested", "Release Requested", "Check Requested")
        for detail, field in (
            ({"site": "-"}, "site"),
            ({}, "site"),
            ("tokyo", "request"),
            (None, "request"),
        )
    ),
    ({name: value for name, value in EVENT.items() if name != "detail"}, "request"),
    ({name: value for name, value in EVENT.items() if name != "source"}, "detail-type"),
]


@pytest.mark.parametrize(("sent", "field"), REFUSED)
def test_any_other_request_is_refused_naming_the_field(sent: object, field: str) -> None:
    """Whoever may start a run must not be able to widen what it does."""
    with pytest.raises(InvalidRequestError) as refusal:
        reconcile_request(sent)

    assert str(refusal.value).startswith(f"{field}: ")
    assert str(refusal.value).isascii()


BAD_GRANTS: list[tuple[str, object]] = [
    # Exact principals of IAM only: a pattern can be minted, an account is everybody in it.
    ("principal", "*"),
    ("principal", "arn:aws:iam::444455556666:role/*"),
    ("principal", "arn:aws:iam::444455556666:role/reader?"),
    ("principal", "arn:aws:iam::444455556666:root"),
    ("principal", "arn:aws:sts::444455556666:assumed-role/reader/session"),
    ("principal", "arn:aws:iam::4444:role/reader"),
    ("principal", "444455556666"),
    ("principal", f"{PRINCIPAL}\n"),
    ("principal", f"{PRINCIPAL}${{aws:username}}"),
    ("principal", f"arn:aws:iam::444455556666:role/{'r' * 98}"),
    ("principal", [PRINCIPAL]),
    ("principal", None),
    ("hours", 0),
    ("hours", -1),
    ("hours", 169),
    ("hours", 4.5),
    ("hours", "4"),
    ("hours", True),
    ("hours", None),
    # Without a reason nobody knows later why.
    ("reason", ""),
    ("reason", "r" * 201),
    ("reason", "two\nlines"),
    ("reason", "caf\u00e9"),
    ("reason", None),
]


@pytest.mark.parametrize(("field", "value"), BAD_GRANTS)
@pytest.mark.parametrize("as_event", [True, False])
def test_a_grant_that_is_too_wide_too_long_or_unexplained_is_refused(
    field: str, value: object, *, as_event: bool
) -> None:
    """It is a hole in the lock: for one principal, for a week at most, and with a reason."""
    grant = {**GRANT, field: value}

    with pytest.raises(InvalidRequestError) as refusal:
        reconcile_request(
            event("Access Grant Requested", **grant) if as_event else {"site": "tokyo", "grant": grant}
        )

    assert str(refusal.value).startswith(f"{field if as_event else f'grant.{field}'}: ")


@pytest.mark.parametrize("field", GRANT)
def test_a_grant_has_no_defaults(field: str) -> None:
    """Whom, for how long and why is said by whoever asks."""
    with pytest.raises(InvalidRequestError, match=f"^{field}: is missing$"):
        reconcile_request(
            event("Access Grant Requested", **{name: value for name, value in GRANT.items() if name != field})
        )


@pytest.mark.parametrize("hours", [1, 168])
def test_a_grant_may_be_as_short_and_as_long_as_the_rule_says(hours: int) -> None:
    """The counterpart of the refusals."""
    understood = reconcile_request(event("Access Grant Requested", **{**GRANT, "hours": hours}))

    assert understood.grant is not None
    assert understood.grant.hours == hours


@pytest.mark.parametrize("principal", [PRINCIPAL, "arn:aws-cn:iam::444455556666:user/reader@example.com"])
def test_a_grant_is_for_a_role_or_a_user_of_any_partition(principal: str) -> None:
    """A recovery site may be operated by people with users of their own."""
    understood = reconcile_request(event("Access Grant Requested", **{**GRANT, "principal": principal}))

    assert understood.grant is not None
    assert understood.grant.principal == principal


def test_a_grant_ends_by_the_clock_of_the_policy() -> None:
    """IAM compares times in UTC, whatever time zone the function believes in."""
    tokyo = datetime(2026, 2, 1, 7, 30, tzinfo=timezone(timedelta(hours=9)))
    grant = Grant(**{**GRANT, "hours": 26})

    assert grant.expires_at(tokyo) == "2026-02-02T00:30:00Z"
    assert grant.expires_at(tokyo.astimezone(UTC)) == "2026-02-02T00:30:00Z"


@pytest.mark.parametrize(
    "name",
    [
        "/vbr-privatelink/tokyo/endpoint",
        "/vbr-privatelink/tokyo/settings",
        "/vbr-privatelink/tokyo/seen/vbr01",
        "/vbr-privatelink/tokyo/adoption/",
        "/vbr-privatelink/tokyo/adoption/vbr01/more",
        "/vbr-privatelink/tokyo/adoption/VBR01",
        f"/vbr-privatelink/tokyo/adoption/{'v' * 64}",
        "/vbr-privatelink/tokyo/adoption/vbr01\n",
        "/vbr-privatelink/to/kyo/adoption/vbr01",
        "/vbr-privatelink//adoption/vbr01",
        "/vbr-privatelink/Tokyo/adoption/vbr01",
        f"/vbr-privatelink/{'t' * 33}/adoption/vbr01",
        "/other/vbr-privatelink/tokyo/adoption/vbr01",
        "/other/tokyo/adoption/vbr01",
        "vbr-privatelink/tokyo/adoption/vbr01",
        "",
        None,
        5,
        ["/vbr-privatelink/tokyo/adoption/vbr01"],
    ],
)
def test_a_change_of_another_parameter_starts_nothing(name: object) -> None:
    """Heartbeats come twice a day, and the workflow's own publication would start it again."""
    with pytest.raises(InvalidRequestError, match=r"^detail\.name: this is no server's report"):
        reconcile_request(reported(name))


@pytest.mark.parametrize("detail", [None, "name", [], {}, {"operation": "Update"}])
def test_an_event_without_a_name_starts_nothing(detail: object) -> None:
    """Whatever Parameter Store may send one day."""
    with pytest.raises(InvalidRequestError, match=r"^detail\.name: "):
        reconcile_request({**REPORT, "detail": detail})


@pytest.mark.parametrize("site", ["-tokyo", "tokyo-", "-"])
def test_a_report_of_a_site_that_cannot_be_is_refused_like_any_request(site: str) -> None:
    """As a refusal that names the field, and not as a bug of the door."""
    with pytest.raises(InvalidRequestError, match=r"^site: "):
        reconcile_request(reported(f"/vbr-privatelink/{site}/adoption/vbr01"))


def test_what_a_report_says_is_not_believed_by_the_door() -> None:
    """Only which site it is about; the report itself is read from Parameter Store, once the lease is held."""
    odd = {**REPORT, "detail": {**REPORT["detail"], "site": "osaka", "intent": "provisioned", "force": True}}

    assert reconcile_request(odd) == ReconcileRequest(site="tokyo")


def test_an_unknown_field_is_refused_with_the_fix() -> None:
    """The message is all that the person at the console sees."""
    with pytest.raises(InvalidRequestError, match=r"^bucket: is not a known field; remove it$"):
        reconcile_request({"site": "tokyo", "bucket": "mine"})


def test_an_unknown_event_is_refused_with_those_that_are_known() -> None:
    """Whoever wires another tool to the bus reads them here."""
    with pytest.raises(InvalidRequestError) as refusal:
        reconcile_request(event("Provision"))

    for kind in ("Access Grant Requested", "Check Requested", "Provision Requested", "Release Requested"):
        assert kind in str(refusal.value)


@pytest.mark.parametrize(
    ("sent", "fix"),
    [
        ({"site": "tokyo", "force": True}, "set intent to released"),
        ({"site": "tokyo", "purpose": "check", "intent": "released"}, "leave intent and grant out"),
    ],
)
def test_a_contradiction_is_refused_with_the_fix(sent: object, fix: str) -> None:
    """Without the words that pydantic puts before a sentence of ours."""
    with pytest.raises(InvalidRequestError, match=rf"^request: (?!Value error).*{fix}$"):
        reconcile_request(sent)


def test_a_refusal_stays_short_whatever_was_sent() -> None:
    """It becomes the execution's cause, which has a limit of its own; over it, the reason is lost."""
    flood = {f"{'x' * 1000}{number}": 1 for number in range(200)}

    for sent in ({"site": "tokyo", **flood}, event("Release Requested", **flood)):
        with pytest.raises(InvalidRequestError) as refusal:
            reconcile_request(sent)

        assert len(str(refusal.value)) < 2000


@pytest.mark.parametrize(
    ("source", "kind", "name", "quiet"),
    [
        ("aws.ssm", "Parameter Store Change", "/vbr-privatelink/tokyo/adoption/a/b", True),
        ("aws.ssm", "Parameter Store Change", "/vbr-privatelink/tokyo/adoption/VBR01", True),
        ("aws.ssm", "Parameter Store Change", "/vbr-privatelink/tokyo/adoption/a\nb", True),
        ("aws.ssm", "Parameter Store Change", "/vbr-privatelink/tokyo/adoption/vbr01", False),
        # What the rule doesn't let through was sent by somebody: that is told.
        ("aws.ssm", "Parameter Store Change", "/vbr-privatelink/tokyo/settings", False),
        ("aws.ssm", "Parameter Store Change", 7, False),
        ("vbr-privatelink", "Provision Requested", "/vbr-privatelink/tokyo/adoption/a/b", False),
    ],
)
def test_only_what_the_rules_wildcard_lets_through_is_passed_over(
    source: str, kind: str, name: object, quiet: bool
) -> None:
    """A failed run, and a mail, for what nobody has asked for is noise; for a request it is an answer."""
    event = {"source": source, "detail-type": kind, "detail": {"name": name}}

    assert is_no_report(event) is quiet
