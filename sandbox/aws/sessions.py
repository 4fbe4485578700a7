"""
Role sessions for AWS's own services: what Lambda, Step Functions and EventBridge run under.

The role's trust policy is asked, as AWS asks it: a role that forgot `lambda.amazonaws.com` fails here.
"""

from typing import Any

from moto.sts.models import sts_backends

from sandbox.aws import authorization
from sandbox.aws.identity import PARTITION, Credentials, Identities, service_principal

SESSION_SECONDS = 12 * 3600


class Sessions:
    """Hands out credentials for roles."""

    def __init__(self, identities: Identities, *, region: str) -> None:
        self._identities = identities
        self._region = region

    def assume(
        self, role_arn: str, *, service: str, session_name: str, source: str, source_arn: str | None = None
    ) -> Credentials:
        """
        Assume *role_arn* as the AWS service *service*; raise `DeniedError` when the role doesn't trust it.
        """
        facts = {"RoleSessionName": session_name}
        if source_arn is not None:
            facts |= {"aws:sourcearn": source_arn, "aws:sourceaccount": source_arn.split(":")[4]}
        authorization.may_assume(role_arn, service_principal(service), facts)
        account_id = role_arn.split(":")[4]
        backend: Any = sts_backends[account_id][PARTITION]
        session = backend.assume_role(
            region_name=self._region,
            role_session_name=session_name[:64],
            role_arn=role_arn,
            policy=None,
            duration=SESSION_SECONDS,
            external_id=None,
        )
        self._identities.tell_source(session.access_key_id, source)
        return Credentials(
            access_key_id=session.access_key_id,
            secret_access_key=session.secret_access_key,
            session_token=session.session_token,
        )
