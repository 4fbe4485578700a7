"""VBR's IAM user: what it may do, and where its keys are, and aren't."""

import json
from typing import Any

from tests.stacks.synthesized import Synthesized

ACCOUNT = "111122223333"
OWN = {"StringEquals": {"s3:ResourceAccount": ACCOUNT}}
BUCKET = f"arn:<AWS::Partition>:s3:::vbr-tokyo-{ACCOUNT}-ap-northeast-1"
FIRST = f"arn:<AWS::Partition>:s3:::vbr-site-0-{ACCOUNT}-ap-northeast-1"
LOCKED = "arn:<AWS::Partition>:s3:::locked-backups"
PLAIN_ACTIONS = {
    "s3:GetBucketLocation",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketVersioning",
    "s3:ListBucket",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:PutObject",
    "s3:ListAllMyBuckets",
}
LOCK_ACTIONS = {
    "s3:ListBucketVersions",
    "s3:DeleteObjectVersion",
    "s3:GetObjectLegalHold",
    "s3:GetObjectRetention",
    "s3:GetObjectVersion",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
}


def emitted(synthesized: Synthesized, site: str) -> list[dict[str, Any]]:
    """Return the statements of the policy that the stack gives out for a site."""
    [text] = [
        value
        for name, value in synthesized.outputs.items()
        if f"BackupUser{site.replace('-', '')}Policy" in name
    ]
    document = json.loads(text)
    assert document["Version"] == "2012-10-17"
    return list(document["Statement"])


def allowed(statements: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return what the statements allow, as (action, resource)."""
    found = set()
    for statement in statements:
        assert statement["Effect"] == "Allow"
        assert statement.get("Condition", OWN) == OWN
        assert "Condition" in statement or statement["Action"] == "s3:ListAllMyBuckets"
        for action in _listed(statement["Action"]):
            found |= {(action, resource) for resource in _listed(statement["Resource"])}
    return found


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _wanted(actions: set[str], bucket: str) -> set[tuple[str, str]]:
    return {
        (action, "*" if action == "s3:ListAllMyBuckets" else bucket if "Bucket" in action else f"{bucket}/*")
        for action in actions
    }


def test_without_immutability_it_may_what_veeam_lists_and_nothing_else(synthesized: Synthesized) -> None:
    """The key lies on a server on premises: what it can do is what a thief can do."""
    assert allowed(emitted(synthesized, "tokyo")) == _wanted(PLAIN_ACTIONS, BUCKET)


def test_locks_and_versions_are_for_immutable_buckets_alone(twelve_sites: Synthesized) -> None:
    """In the other buckets nothing has a lock that would have to be set."""
    assert allowed(emitted(twelve_sites, "site-0")) == (
        _wanted(PLAIN_ACTIONS, FIRST) | _wanted(PLAIN_ACTIONS | LOCK_ACTIONS, LOCKED)
    )


def policy_of_the_user(stack: Synthesized) -> dict[str, Any]:
    """Return the one managed policy that is attached to a user; the others are for people to attach."""
    (policy,) = [one for one in stack.of_type("AWS::IAM::ManagedPolicy").values() if "Users" in one]
    return policy


def test_the_user_has_the_policy_that_is_given_out(twelve_sites: Synthesized) -> None:
    """Whoever makes the user by hand gets the same."""
    (user,) = twelve_sites.of_type("AWS::IAM::User")
    policy = policy_of_the_user(twelve_sites)
    given = json.dumps(policy["PolicyDocument"])

    assert policy["Users"] == [{"Ref": user}]
    assert "Roles" not in policy
    assert "Groups" not in policy
    for statement in emitted(twelve_sites, "site-0"):
        assert f'"Sid": "{statement["Sid"]}"' in given
    assert given.count('"Sid"') == len(emitted(twelve_sites, "site-0"))


def test_ten_immutable_buckets_fit_into_the_policy(twelve_sites: Synthesized) -> None:
    """IAM takes 6,144 characters, white space not counted; a refused deployment would be too late."""
    size = len(json.dumps(emitted(twelve_sites, "site-0"), separators=(",", ":")))
    # A bucket's ARN stands in the policy with and without `/*`, once more if it is immutable; names have up
    # to 63 characters.
    each = 4 * (len("arn:aws-us-gov:s3:::") + 63 + len('"",/*'))

    assert size + 8 * each < 6_144


def test_a_site_without_an_entry_has_no_user(synthesized: Synthesized) -> None:
    """A user is a further way in: nobody gets one unasked."""
    kinds = {resource["Type"] for resource in synthesized.resources.values()}

    assert not kinds & {"AWS::IAM::User", "AWS::IAM::AccessKey", "AWS::SecretsManager::Secret"}
    assert "AWS::IAM::Role" in kinds


def test_a_key_is_in_its_secret_and_nowhere_else(twelve_sites: Synthesized) -> None:
    """An output is read by everyone who may look at the stack."""
    keys = twelve_sites.of_type("AWS::IAM::AccessKey")
    secrets = twelve_sites.of_type("AWS::SecretsManager::Secret")
    template = json.loads(twelve_sites.template_file.read_text())
    of_secrets = json.dumps([secret["SecretString"] for secret in secrets.values()])

    assert len(keys) == len(secrets) == 2
    for name in keys:
        reference = json.dumps({"Fn::GetAtt": [name, "SecretAccessKey"]})
        assert of_secrets.count(reference) == 1
        assert json.dumps(template).count(reference) == 1
        assert name not in json.dumps(template["Outputs"])
    for secret in secrets:
        assert f"<{secret}>" in twelve_sites.outputs.values()


def test_in_many_accounts_each_has_its_own_user(stack_set: Synthesized) -> None:
    """A key that opened the buckets of all accounts would be worth stealing."""
    policy = policy_of_the_user(stack_set)
    conditions = [
        statement["Condition"]["StringEquals"]["s3:ResourceAccount"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "Condition" in statement
    ]

    assert conditions
    assert all(account == {"Ref": "AWS::AccountId"} for account in conditions)
    assert len(stack_set.of_type("AWS::SecretsManager::Secret")) == 1
