"""S3 as AWS runs it: new buckets, conditional writes, and who may do what."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import EmbeddedAws
from sandbox.aws.testing import allow

HERE = {"LocationConstraint": "ap-northeast-1"}
OTHER_ACCOUNT = "444455556666"


def error_of(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """Return code, status and message of the error that *call* ends in."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def statement(effect: str, action: str, resource: str, **more: Any) -> str:
    """Return a bucket policy of one statement."""
    one = {"Effect": effect, "Principal": "*", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})


def test_a_new_bucket_is_private_encrypted_and_keeps_its_tags(aws: EmbeddedAws) -> None:
    """As on AWS since 2023; moto's has none of it."""
    s3 = aws.client("s3")
    tags = [{"Key": "vbr-privatelink", "Value": "tokyo"}]
    s3.create_bucket(
        Bucket="fresh", CreateBucketConfiguration={**HERE, "Tags": tags}, ObjectLockEnabledForBucket=True
    )
    block = s3.get_public_access_block(Bucket="fresh")["PublicAccessBlockConfiguration"]
    ownership = s3.get_bucket_ownership_controls(Bucket="fresh")["OwnershipControls"]["Rules"]
    encryption = s3.get_bucket_encryption(Bucket="fresh")["ServerSideEncryptionConfiguration"]["Rules"]

    assert set(block.values()) == {True}
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert encryption[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_tagging(Bucket="fresh")["TagSet"] == tags
    assert s3.get_bucket_versioning(Bucket="fresh")["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket="fresh")["ObjectLockConfiguration"] == {
        "ObjectLockEnabled": "Enabled"
    }


def test_names_are_taken_once(aws: EmbeddedAws) -> None:
    """Yours, somebody else's, and us-east-1, which forgives."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="taken", CreateBucketConfiguration=HERE)
    other = aws.client("s3", aws.administrator_of(OTHER_ACCOUNT))
    virginia = aws.client("s3", region="us-east-1")
    virginia.create_bucket(Bucket="taken-in-virginia")

    again = error_of(s3.create_bucket, Bucket="taken", CreateBucketConfiguration=HERE)
    theirs = error_of(other.create_bucket, Bucket="taken", CreateBucketConfiguration=HERE)
    unplaced = error_of(s3.create_bucket, Bucket="unplaced")
    virginia.create_bucket(Bucket="taken-in-virginia")

    assert again[:2] == ("BucketAlreadyOwnedByYou", 409)
    assert theirs[:2] == ("BucketAlreadyExists", 409)
    assert unplaced[0] == "IllegalLocationConstraintException"


def test_creating_needs_the_permissions_of_what_is_asked(aws: EmbeddedAws) -> None:
    """Object Lock, ownership and tags each have an action of their own."""
    user = aws.create_user("creator", allow("s3:CreateBucket"))
    s3 = aws.client("s3", user)
    s3.create_bucket(Bucket="plain-one", CreateBucketConfiguration=HERE)
    locked = error_of(
        s3.create_bucket, Bucket="one", CreateBucketConfiguration=HERE, ObjectLockEnabledForBucket=True
    )
    owned = error_of(
        s3.create_bucket,
        Bucket="one",
        CreateBucketConfiguration=HERE,
        ObjectOwnership="BucketOwnerEnforced",
    )
    tagged = error_of(
        s3.create_bucket,
        Bucket="one",
        CreateBucketConfiguration={**HERE, "Tags": [{"Key": "a", "Value": "b"}]},
    )

    assert "s3:PutBucketObjectLockConfiguration" in locked[2]
    assert "s3:PutBucketOwnershipControls" in owned[2]
    assert "s3:TagResource" in tagged[2]


def test_a_conditional_write_that_can_not_match_writes_nothing(aws: EmbeddedAws) -> None:
    """The probe of the lock-down relies on it: 404 without the object, 412 with another one."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="conditional", CreateBucketConfiguration=HERE)
    missing = error_of(s3.put_object, Bucket="conditional", Key="probe", Body=b"", IfMatch='"none"')
    listed = s3.list_objects_v2(Bucket="conditional")["KeyCount"]
    s3.put_object(Bucket="conditional", Key="probe", Body=b"other")
    other = error_of(s3.put_object, Bucket="conditional", Key="probe", Body=b"", IfMatch='"none"')

    assert missing[:2] == ("NoSuchKey", 404)
    assert listed == 0
    assert other[:2] == ("PreconditionFailed", 412)


def test_each_kind_of_refusal_has_its_own_words(aws: EmbeddedAws) -> None:
    """A denial by the bucket policy proves the lock-down; the others prove nothing."""
    admin = aws.client("s3")
    admin.create_bucket(Bucket="words", CreateBucketConfiguration=HERE)
    user = aws.client("s3", aws.create_user("reader", allow("s3:GetObject")))
    implicit = error_of(user.put_object, Bucket="words", Key="key", Body=b"")
    admin.put_bucket_policy(Bucket="words", Policy=statement("Deny", "s3:PutObject", "arn:aws:s3:::words/*"))
    explicit = error_of(admin.put_object, Bucket="words", Key="key", Body=b"")
    both = error_of(user.put_object, Bucket="words", Key="key", Body=b"")
    own = allow("s3:*")
    own["Statement"].append({"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"})
    denied_by_own = error_of(
        aws.client("s3", aws.create_user("denied", own)).put_object, Bucket="words", Key="key", Body=b""
    )

    assert implicit == (
        "AccessDenied",
        403,
        (
            "User: arn:aws:iam::111122223333:user/reader is not authorized to perform: s3:PutObject on "
            'resource: "arn:aws:s3:::words/key" because no identity-based policy allows the s3:PutObject'
            " action"
        ),
    )
    assert explicit[2] == (
        "User: arn:aws:iam::111122223333:user/administrator is not authorized to perform: s3:PutObject on "
        'resource: "arn:aws:s3:::words/key" with an explicit deny in a resource-based policy'
    )
    assert denied_by_own[2].endswith("with an explicit deny in an identity-based policy")
    # AWS doesn't document which of two it names: the one that proves nothing is the stricter reading.
    assert both == implicit


def test_head_has_no_words(aws: EmbeddedAws) -> None:
    """An answer to HEAD has no body: the client sees 403 and nothing else."""
    admin = aws.client("s3")
    admin.create_bucket(Bucket="silent-head", CreateBucketConfiguration=HERE)
    nobody = aws.client("s3", aws.create_user("nobody", allow("s3:GetObject")))

    assert error_of(nobody.head_bucket, Bucket="silent-head") == ("403", 403, "Forbidden")
    assert error_of(admin.head_bucket, Bucket="no-such-bucket") == ("404", 404, "Not Found")


def test_a_missing_object_is_hidden_from_who_may_not_list(aws: EmbeddedAws) -> None:
    """404 would tell them what isn't there."""
    admin = aws.client("s3")
    admin.create_bucket(Bucket="hidden", CreateBucketConfiguration=HERE)
    reader = aws.client("s3", aws.create_user("peeker", allow("s3:GetObject")))

    assert error_of(reader.get_object, Bucket="hidden", Key="none")[0] == "AccessDenied"
    assert error_of(admin.get_object, Bucket="hidden", Key="none")[0] == "NoSuchKey"


def test_the_expected_owner_is_checked(aws: EmbeddedAws) -> None:
    """A bucket that changed hands must not get anybody's data."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="owned", CreateBucketConfiguration=HERE)

    assert error_of(s3.head_bucket, Bucket="owned", ExpectedBucketOwner=OTHER_ACCOUNT)[1] == 403
    assert s3.head_bucket(Bucket="owned", ExpectedBucketOwner="111122223333")


def test_another_account_needs_both_sides(aws: EmbeddedAws) -> None:
    """The bucket's policy and the caller's own must allow; and AWS doesn't explain itself to strangers."""
    theirs = aws.client("s3", aws.administrator_of(OTHER_ACCOUNT))
    theirs.create_bucket(Bucket="abroad", CreateBucketConfiguration=HERE)
    mine = aws.client("s3")
    before = error_of(mine.put_object, Bucket="abroad", Key="key", Body=b"")
    theirs.put_bucket_policy(
        Bucket="abroad",
        Policy=statement(
            "Allow",
            "s3:PutObject",
            "arn:aws:s3:::abroad/*",
            Principal={"AWS": "arn:aws:iam::111122223333:root"},
        ),
    )
    mine.put_object(Bucket="abroad", Key="key", Body=b"content")
    unable = aws.client("s3", aws.create_user("unable", allow("s3:GetObject")))

    assert before == ("AccessDenied", 403, "Access Denied")
    assert error_of(unable.put_object, Bucket="abroad", Key="key", Body=b"")[0] == "AccessDenied"


def test_root_can_always_repair_a_policy(aws: EmbeddedAws) -> None:
    """The way out of a bucket that denies everything to everybody."""
    admin, root = aws.client("s3"), aws.client("s3", aws.root())
    admin.create_bucket(Bucket="walled", CreateBucketConfiguration=HERE)
    admin.put_bucket_policy(
        Bucket="walled",
        Policy=statement("Deny", "s3:*", "arn:aws:s3:::walled"),
    )

    assert error_of(admin.delete_bucket_policy, Bucket="walled")[0] == "AccessDenied"
    assert error_of(root.list_objects_v2, Bucket="walled")[0] == "AccessDenied"
    root.delete_bucket_policy(Bucket="walled")
    assert admin.list_objects_v2(Bucket="walled")["KeyCount"] == 0


@pytest.mark.parametrize(
    "policy",
    [
        "{}",
        "no json",
        statement("Deny", "s3:*", "arn:aws:s3:::another-bucket"),
        statement("Deny", "s3:*", "arn:aws:s3:::picky", Sid="x" * 21_000),
    ],
)
def test_malformed_policies_are_refused(aws: EmbeddedAws, policy: str) -> None:
    """moto stores anything."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="picky", CreateBucketConfiguration=HERE) if "picky" not in [
        bucket["Name"] for bucket in s3.list_buckets()["Buckets"]
    ] else None

    assert error_of(s3.put_bucket_policy, Bucket="picky", Policy=policy)[:2] == ("MalformedPolicy", 400)


def test_a_condition_that_is_not_understood_is_an_error_not_a_guess(aws: EmbeddedAws) -> None:
    """It is refused when the policy is put, loudly, so that no story passes by luck."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="loud", CreateBucketConfiguration=HERE)
    policy = statement(
        "Deny", "s3:*", "arn:aws:s3:::loud/*", Condition={"StringEquals": {"aws:SourceVpcArn": "x"}}
    )

    assert error_of(s3.put_bucket_policy, Bucket="loud", Policy=policy)[0] == "SandboxUnsupported"


def test_keys_may_look_like_anything(aws: EmbeddedAws) -> None:
    """Blanks, plus signs, per cent and slashes survive the rewriting of paths."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="odd-keys", CreateBucketConfiguration=HERE)
    keys = ["a b+c%20d", "Veeam/Backup/ü/", "//double", "trailing/"]
    for key in keys:
        s3.put_object(Bucket="odd-keys", Key=key, Body=key.encode())

    assert sorted(entry["Key"] for entry in s3.list_objects_v2(Bucket="odd-keys")["Contents"]) == sorted(keys)
    assert all(s3.get_object(Bucket="odd-keys", Key=key)["Body"].read() == key.encode() for key in keys)
