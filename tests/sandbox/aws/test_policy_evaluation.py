"""The policy evaluator on its own: what it must get right, and what it must refuse to guess."""

from typing import Any

import pytest

from sandbox.aws.policy import (
    MalformedPolicyError,
    PolicyRequest,
    UnsupportedPolicyError,
    Verdict,
    evaluate,
    require_bucket_policy,
)

ROLE = "arn:aws:iam::111122223333:role/backup"
SESSION = "arn:aws:sts::111122223333:assumed-role/backup/run"
OBJECT = "arn:aws:s3:::bucket/key"


def document(**statement: Any) -> dict[str, Any]:
    """Return a policy of one statement that applies to everything but for *statement*."""
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", **statement}],
    }


def request(**changes: Any) -> PolicyRequest:
    """Return a PutObject by a role's session, but for *changes*."""
    values: dict[str, Any] = {
        "action": "s3:PutObject",
        "resource": OBJECT,
        "caller_arns": (SESSION, ROLE),
        "caller_account": "111122223333",
    }
    return PolicyRequest(**{**values, **changes})


def test_an_explicit_deny_beats_any_allow() -> None:
    """The order of statements doesn't matter."""
    policy = document()
    policy["Statement"].append({"Effect": "Deny", "Action": "s3:PutObject", "Resource": OBJECT})

    assert evaluate(policy, request()) is Verdict.DENIED


def test_an_empty_match_says_nothing() -> None:
    """Not allowed isn't the same as denied: another policy may allow."""
    assert evaluate(document(Action="s3:GetObject"), request()) is Verdict.SILENT


@pytest.mark.parametrize("pattern", ["s3:putobject", "S3:Put*", "s3:P?tObject", "*"])
def test_actions_match_with_wildcards_and_without_case(pattern: str) -> None:
    """`s3:put*` and `s3:PutObject` name the same action."""
    assert evaluate(document(Action=pattern), request()) is Verdict.ALLOWED


def test_not_action_and_not_resource_turn_the_match_round() -> None:
    """Both are used to deny everything but."""
    denied = document(Effect="Deny", NotAction="s3:GetObject")
    del denied["Statement"][0]["Action"]
    spared = document(Effect="Deny", NotResource="arn:aws:s3:::bucket/*")
    del spared["Statement"][0]["Resource"]

    assert evaluate(denied, request()) is Verdict.DENIED
    assert evaluate(denied, request(action="s3:GetObject")) is Verdict.SILENT
    assert evaluate(spared, request()) is Verdict.SILENT


def test_a_role_is_named_by_its_own_arn_and_by_its_sessions() -> None:
    """A bucket policy names the role, the caller is a session of it."""
    for name in (ROLE, SESSION):
        assert evaluate(document(Principal={"AWS": name}), request()) is Verdict.ALLOWED

    assert evaluate(document(Principal={"AWS": f"{ROLE}-2"}), request()) is Verdict.SILENT


def test_an_allow_to_the_account_leaves_it_to_the_callers_own_policies() -> None:
    """AWS delegates to the account; it doesn't let everybody in it through."""
    for name in ("111122223333", "arn:aws:iam::111122223333:root"):
        assert evaluate(document(Principal={"AWS": name}), request()) is Verdict.ALLOWED_TO_ACCOUNT

    assert evaluate(document(Principal={"AWS": "444455556666"}), request()) is Verdict.SILENT


def test_not_principal_spares_exactly_who_is_named() -> None:
    """The account in NotPrincipal spares its root, not everybody in it."""
    policy = document(Effect="Deny", NotPrincipal={"AWS": [ROLE, "arn:aws:iam::111122223333:root"]})

    assert evaluate(policy, request()) is Verdict.SILENT
    assert evaluate(policy, request(caller_arns=("arn:aws:iam::111122223333:user/u",))) is Verdict.DENIED
    assert evaluate(policy, request(caller_arns=(), caller_is_root=True)) is Verdict.SILENT


@pytest.mark.parametrize(
    ("operator", "wanted", "actual", "holds"),
    [
        ("StringEquals", "vpce-1", "vpce-1", True),
        ("StringEquals", ["vpce-1", "vpce-2"], "vpce-2", True),
        ("StringEquals", "vpce-1", None, False),
        ("StringNotEquals", "vpce-1", "vpce-1", False),
        ("StringNotEquals", ["vpce-1", "vpce-2"], "vpce-2", False),
        ("StringNotEquals", "vpce-1", None, True),
        ("StringNotEqualsIfExists", "vpce-1", None, True),
        ("StringEqualsIfExists", "vpce-1", None, True),
        ("StringLike", "vpce-*", "vpce-1", True),
        ("StringNotLike", "vpce-*", "vpce-1", False),
        ("StringEqualsIgnoreCase", "VPCE-1", "vpce-1", True),
        ("Null", "true", None, True),
        ("Null", "false", None, False),
        ("Null", False, "vpce-1", True),
        ("ForAnyValue:StringEquals", "vpce-1", "vpce-1", True),
        ("ForAllValues:StringEquals", "vpce-1", None, True),
        ("ForAnyValue:StringEquals", "vpce-1", None, False),
    ],
)
def test_operators_on_text(operator: str, wanted: Any, actual: str | None, holds: bool) -> None:
    """
    A negated operator is met by an absent key: a deny outside the endpoint catches who came without one.
    """
    policy = document(Condition={operator: {"aws:SourceVpce": wanted}})
    context = {} if actual is None else {"aws:sourcevpce": actual}

    assert (evaluate(policy, request(context=context)) is Verdict.ALLOWED) is holds


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "actual", "holds"),
    [
        ("Bool", "aws:SecureTransport", "false", "false", True),
        ("Bool", "aws:SecureTransport", False, "true", False),
        ("BoolIfExists", "aws:PrincipalIsAWSService", "false", None, True),
        ("Bool", "aws:PrincipalIsAWSService", "false", None, False),
        ("NumericLessThan", "s3:TlsVersion", "1.2", "1.1", True),
        ("NumericLessThan", "s3:TlsVersion", 1.2, "1.3", False),
        ("NumericGreaterThanEquals", "s3:TlsVersion", ["1.2"], "1.2", True),
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/backup", ROLE, True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::111122223333:role/*", ROLE, True),
        ("ArnNotEquals", "aws:PrincipalArn", ROLE, ROLE, False),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/other", ROLE, True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam:*:role/backup", ROLE, False),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", "10.1.2.3", True),
        ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", "10.1.2.3", False),
        ("DateLessThan", "aws:CurrentTime", "2030-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
    ],
)
def test_operators_on_other_types(
    operator: str,
    key: str,
    wanted: Any,
    actual: str | None,
    holds: bool,
) -> None:
    """The five statements of a locked bucket use most of these."""
    policy = document(Condition={operator: {key: wanted}})
    context = {} if actual is None else {key.lower(): actual}

    assert (evaluate(policy, request(context=context)) is Verdict.ALLOWED) is holds


def test_every_condition_must_hold() -> None:
    """Operators and keys are joined by and, values by or."""
    condition = {
        "StringNotEquals": {"aws:SourceVpce": "vpce-1"},
        "ArnNotEquals": {"aws:PrincipalArn": ROLE},
    }

    assert (
        evaluate(document(Condition=condition), request(context={"aws:principalarn": ROLE})) is Verdict.SILENT
    )


def test_several_values_are_quantified() -> None:
    """Tag keys are a list: all of them, or any."""
    every = document(Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}})
    some = document(Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": ["b"]}})
    tags = {"aws:tagkeys": ("b", "c")}

    assert evaluate(every, request(context=tags)) is Verdict.SILENT
    assert evaluate(some, request(context=tags)) is Verdict.ALLOWED


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEqualz": {"aws:SourceVpce": "vpce-1"}},
        {"StringEquals": {"aws:SourceVpceAccount": "1"}},
        {"ForSomeValues:StringEquals": {"aws:SourceVpce": "vpce-1"}},
        {"BinaryEquals": {"aws:SourceVpce": "eA=="}},
    ],
)
def test_what_is_not_understood_is_not_guessed(condition: dict[str, Any]) -> None:
    """moto counts it as met; then a policy with a typing error looks as if it worked."""
    policy = document(Effect="Deny", Condition={"StringEquals": {"aws:SourceVpce": "other"}, **condition})

    with pytest.raises(UnsupportedPolicyError):
        evaluate(policy, request(context={"aws:sourcevpce": "vpce-1"}))


def test_policy_variables_are_filled_in() -> None:
    """`${aws:username}` stands for the caller; without one it matches nothing."""
    policy = document(Resource="arn:aws:s3:::bucket/${aws:username}/*")
    mine = request(resource="arn:aws:s3:::bucket/me/key", context={"aws:username": "me"})

    assert evaluate(policy, mine) is Verdict.ALLOWED
    assert evaluate(policy, request(resource="arn:aws:s3:::bucket/me/key")) is Verdict.SILENT


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Maybe"},
        {"Principals": "*"},
        {"Resource": "arn:aws:s3:::other/*"},
        {"Action": "ec2:*"},
        {"Condition": []},
    ],
)
def test_bucket_policies_that_aws_would_not_store_are_refused(change: dict[str, Any]) -> None:
    """A policy for another bucket, or with a misspelt element, never gets in."""
    policy = document(Principal="*", Resource="arn:aws:s3:::bucket/*")
    policy["Statement"][0].update(change)

    with pytest.raises(MalformedPolicyError):
        require_bucket_policy(policy, "bucket")


def test_a_bucket_policy_needs_a_principal() -> None:
    """An identity policy pasted into a bucket is a common mistake."""
    with pytest.raises(MalformedPolicyError, match="Principal"):
        require_bucket_policy(document(Resource="arn:aws:s3:::bucket/*"), "bucket")
