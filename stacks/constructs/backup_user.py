"""
The IAM policy that VBR's user of a site needs, and, if the settings ask for it, that user and its keys.

A key goes from IAM into Secrets Manager while CloudFormation makes it: it is in no template, output or
log. Keys are numbered, so that one can be exchanged without a gap: with two numbers in the settings both
work, until the older number is taken away.
"""

from collections.abc import Sequence

from aws_cdk import Acknowledgment, CfnOutput, SecretValue, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.policies import backup_user
from stacks.policies.wildcards import explained


class BackupUser(Construct):
    """One site's; *keys* are the numbers of its access keys, and without any there is no user."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: str,
        bucket_arns: Sequence[str],
        immutable_bucket_arns: Sequence[str],
        keys: Sequence[int],
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack = Stack.of(self)
        self._site = site
        statements = backup_user.statements(
            bucket_arns, immutable_bucket_arns=immutable_bucket_arns, account_id=self._stack.account
        )
        CfnOutput(
            self,
            "Policy",
            description=f"The IAM policy of the user with whose key VBR uses the buckets of site {site}",
            value=self._stack.to_json_string(iam.PolicyDocument(statements=statements)),
        )
        if keys:
            self._make_user(statements, bucket_arns, keys)

    def _make_user(
        self, statements: Sequence[iam.PolicyStatement], bucket_arns: Sequence[str], keys: Sequence[int]
    ) -> None:
        user = iam.User(self, "User")
        # Ten buckets don't fit into the 2,048 characters of a user's inline policies.
        policy = iam.ManagedPolicy(
            self,
            "ManagedPolicy",
            description=f"VBR's access to the buckets of site {self._site}",
            statements=list(statements),
            users=[user],
        )
        reasons = {
            "Resource::*": "ListAllMyBuckets accepts no resource.",
            **explained(
                self._stack, [f"{arn}/*" for arn in bucket_arns], "All backups of one bucket: VBR names them."
            ),
        }
        Validations.of(policy).acknowledge(
            *(
                Acknowledgment(id=f"AwsSolutions-IAM5[{finding}]", reason=reason)
                for finding, reason in reasons.items()
            )
        )
        CfnOutput(self, "UserName", description=f"VBR's IAM user of site {self._site}", value=user.user_name)
        for number in keys:
            self._make_key(user, number)

    def _make_key(self, user: iam.User, number: int) -> None:
        key = iam.AccessKey(self, f"Key{number}", user=user)
        secret = secretsmanager.Secret(
            self,
            f"Secret{number}",
            description=f"VBR's access key {number} of site {self._site}, for `secret set` on its server",
            secret_object_value={
                # An access key's id is no secret; the key beside it is put in by CloudFormation.
                "access_key_id": SecretValue.unsafe_plain_text(key.access_key_id),
                "secret_access_key": key.secret_access_key,
            },
        )
        Validations.of(secret).acknowledge(
            Acknowledgment(
                id="AwsSolutions-SMG4",
                reason="VBR has to be told of a new key on premises: a rotation on this side alone would "
                "stop the backups. Keys are exchanged by their numbers in the settings.",
            )
        )
        CfnOutput(
            self,
            f"SecretArn{number}",
            description=f"Where access key {number} of site {self._site} is kept",
            value=secret.secret_arn,
        )
