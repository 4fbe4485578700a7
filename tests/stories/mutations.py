"""
Mistakes that the product could have, each applied to a copy.

An edit names a file of the copy, the text that must stand in it exactly once, and what it becomes: a
mutation whose text is gone fails loudly instead of testing nothing.
"""

from dataclasses import dataclass
from pathlib import Path

# Where an edit is made: the functions' code in the synthesized asset, the template, or the client.
FUNCTIONS, TEMPLATE, CLIENT = "functions", "template", "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One replacement in one file of the copy."""

    place: str
    file: str
    old: str
    new: str

    def make(self, folder: Path) -> None:
        """Apply the edit below *folder*."""
        path = folder / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise LookupError(f"{self.file} holds {self.old!r} {text.count(self.old)} times instead of once")
        path.write_text(text.replace(self.old, self.new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One mistake, and the words by which the story must notice it."""

    name: str
    edits: tuple[Edit, ...]
    noticed: str


_STATEMENTS = "lambdas/attach_bucket_policy/statements.py"
_TRANSACTION = "onprem_client/transaction.py"
_REGION_XML = "onprem_client/resources/region_xml.py"
_ORDER = "            return [*registry, stop, *file, start]\n"


def _functions(file: str, old: str, new: str) -> Edit:
    return Edit(place=FUNCTIONS, file=file, old=old, new=new)


def _client(file: str, old: str, new: str) -> Edit:
    return Edit(place=CLIENT, file=file, old=old, new=new)


def _next(state: str, *, instead: str, before: str) -> Edit:
    """Let the state machine go on to another state; *before* is the JSON that stands behind it."""
    return Edit(
        place=TEMPLATE,
        file="VbrPrivateLinkSite.template.json",
        old=f'\\"{state}\\":{{\\"Next\\":\\"{before}\\"',
        new=f'\\"{state}\\":{{\\"Next\\":\\"{instead}\\"',
    )


def _statement_dropped(call: str, noticed: str) -> Mutation:
    return Mutation(
        name=f"policy without {call.split('(')[0]}",
        edits=(_functions(_STATEMENTS, f"        {call},\n", ""),),
        noticed=noticed,
    )


POLICY_MISTAKES = (
    Mutation(
        name="a wrong endpoint id in the policy",
        edits=(
            _functions(
                "lambdas/attach_bucket_policy/handler.py",
                "endpoint_ids=(*request.let_in, *site.additional_endpoint_ids),",
                'endpoint_ids=("vpce-00000000000000000",),',
            ),
        ),
        noticed="VBR accepted the repository",
    ),
    _statement_dropped(
        "deny_object_access(bucket_arn, lockdown.endpoint_ids, guests)", "the lock-down is proven"
    ),
    _statement_dropped(
        "deny_listing(bucket_arn, lockdown.endpoint_ids, (*lockdown.observers, *guests))",
        "a listing by the account's administrator is refused",
    ),
    _statement_dropped(
        "deny_policy_tamper(bucket_arn, lockdown.policy_administrators)",
        "a new bucket policy by the account's administrator is refused",
    ),
    _statement_dropped("deny_insecure_transport(bucket_arn)", "over plain HTTP is refused"),
    _statement_dropped("deny_outdated_tls(bucket_arn)", "with TLS 1.1 is refused"),
)

WORKFLOW_MISTAKES = (
    Mutation(
        name="the * of the DNS name is not replaced",
        edits=(
            _functions(
                "lambdas/check_endpoint/logic.py",
                "f\"bucket.{dns_name.removeprefix('*.')}\"",
                "dns_name",
            ),
        ),
        noticed="the execution succeeded",
    ),
    Mutation(
        name="the policy step is skipped",
        edits=(_next("ReadAdoption", before="AttachBucketPolicy", instead="ProveLockdown"),),
        noticed="the lock-down is proven",
    ),
    Mutation(
        name="the policy step and the proof are skipped",
        edits=(_next("ReadAdoption", before="AttachBucketPolicy", instead="PublishEndpoint"),),
        noticed="an upload by the account's administrator, from the console is refused",
    ),
    Mutation(
        name="the publication is skipped",
        edits=(_next("ProveLockdown", before="PublishEndpoint", instead="ReleaseLease"),),
        noticed="the endpoint is published",
    ),
    Mutation(
        name="the probing role may not put the probe",
        edits=(
            Edit(
                place=TEMPLATE,
                file="VbrPrivateLinkSite.template.json",
                old='"s3:PutObject"',
                new='"s3:GetObjectTorrent"',
            ),
        ),
        noticed="the execution succeeded",
    ),
)

CLIENT_MISTAKES = (
    Mutation(
        name="the service is not restarted",
        edits=(_client(_TRANSACTION, _ORDER, "            return [*registry, *file]\n"),),
        noticed="the Veeam Backup Service was restarted once",
    ),
    Mutation(
        name="the registry value is not set",
        edits=(_client(_TRANSACTION, _ORDER, "            return [stop, *file, start]\n"),),
        noticed="`run` exits with 0",
    ),
    Mutation(
        name="the second S3 endpoint stays",
        edits=(
            _client(_REGION_XML, "    for element in reversed(others):\n", "    for element in []:\n"),
            _client(_REGION_XML, "    _verify(xml, found, edited, region=region, texts=(host,))\n", ""),
        ),
        noticed="`run` exits with 0",
    ),
    Mutation(
        name="nothing is reported",
        edits=(
            _client(
                "onprem_client/report.py",
                "    parameters.put(adoption_parameter(news.site, server), report.to_json())\n",
                "    report.to_json()\n",
            ),
        ),
        noticed="the server's report is in",
    ),
)

FLEET_MISTAKES = (
    Mutation(
        name="the hub believes an event about whose it is",
        edits=(
            _functions(
                "lambdas/record_site_status/logic.py",
                'names.account_id(envelope.account, field="account")',
                'names.account_id(envelope.detail.get("account", envelope.account), field="account")',
            ),
        ),
        noticed="the event changed no row but its sender's",
    ),
    Mutation(
        name="the hub's bus takes events from anybody",
        edits=(
            Edit(
                place=TEMPLATE,
                file="VbrPrivateLinkHub.template.json",
                old='"aws:PrincipalOrgID": "o-exampleorg1"',
                new='"aws:PrincipalType": "AssumedRole"',
            ),
        ),
        noticed="an account outside the organization is refused",
    ),
)
