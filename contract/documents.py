"""
The two documents that cross the border.

`EndpointDocument` tells a backup server which endpoint serves which buckets; `AdoptionReport` tells the
cloud what the server made of it. Both are one JSON parameter, at most 4 KB (Parameter Store, Standard
tier), and each side treats the other's document as hostile until `from_json` has accepted it.
"""

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from contract import names
from contract.errors import ContractError
from contract.parameters import MAXIMUM_BYTES
from contract.reading import Fields, json_object

SCHEMA_VERSION = 1
MAXIMUM_BUCKETS = 10
MAXIMUM_ADDRESSES = 12
MAXIMUM_CHECKS = 30
# Veeam: immutability of 1 to 999 days; 0 stands for "off".
MAXIMUM_IMMUTABILITY_DAYS = 999

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_CHECK_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class EndpointState(StrEnum):
    """What the site wants of its backup servers."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"


class Outcome(StrEnum):
    """What a backup server made of the document."""

    ADOPTED = "adopted"
    REVERTED = "reverted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryBucket:
    """One bucket behind the endpoint; `immutability_days` 0 means that immutability is off."""

    name: names.BucketName
    folder: str
    immutability_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDocument:
    """What a backup server must know to back up through the endpoint (cloud to client)."""

    site: names.SiteName
    region: names.Region
    account_id: names.AccountId
    vpc_endpoint_id: names.EndpointId
    endpoint_host: names.EndpointHost
    endpoint_addresses: tuple[str, ...]
    buckets: tuple[RepositoryBucket, ...]
    state: EndpointState
    published_at: str
    execution: str

    def to_json(self) -> str:
        """Return the parameter's value: ASCII JSON in a fixed order; what `from_json` would refuse raises."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, separators=(",", ":"))
        self.from_json(text)
        return text

    def says_the_same_as(self, other: Self) -> bool:
        """Compare without provenance: when and by which run something was published changes nothing."""
        return replace(self, published_at="", execution="") == replace(other, published_at="", execution="")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a document; raises ContractError that names the field and the fix."""
        fields = Fields(json_object(text, document="endpoint document", maximum_bytes=MAXIMUM_BYTES))
        fields.version(SCHEMA_VERSION)
        region = fields.checked("region", names.region)
        endpoint_id = fields.checked("vpc_endpoint_id", names.endpoint_id)

        def host(value: object, *, field: str) -> names.EndpointHost:
            return names.endpoint_host(value, region=region, endpoint_id=endpoint_id, field=field)

        document = cls(
            site=fields.checked("site", names.site_name),
            region=region,
            account_id=fields.checked("account_id", names.account_id),
            vpc_endpoint_id=endpoint_id,
            endpoint_host=fields.checked("endpoint_host", host),
            endpoint_addresses=fields.each(
                "endpoint_addresses", names.private_address, most=MAXIMUM_ADDRESSES
            ),
            buckets=fields.each("buckets", _bucket, least=1, most=MAXIMUM_BUCKETS),
            state=EndpointState(fields.one_of("state", list(EndpointState))),
            published_at=fields.checked("published_at", _time),
            execution=fields.text("execution", longest=256),
        )
        fields.finish()
        if len({bucket.name for bucket in document.buckets}) != len(document.buckets):
            raise ContractError("buckets", "names the same bucket twice")
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check on the backup server; the detail is short and holds no secret."""

    id: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionReport:
    """What a backup server made of the document (client to cloud)."""

    server: names.ServerName
    client_version: str
    vbr_version: str | None
    vpc_endpoint_id: names.EndpointId
    document_version: int
    outcome: Outcome
    checks: tuple[CheckResult, ...]
    error: str | None
    at: str

    def to_json(self) -> str:
        """
        Return the parameter's value, cut to fit: texts lose characters outside ASCII and, when the whole
        is over 4 KB, their tails.
        """
        for longest in (500, 200, 60, 20, 0):
            text = json.dumps(
                {"schema_version": SCHEMA_VERSION, **asdict(self._cut(longest))}, separators=(",", ":")
            )
            if len(text) <= MAXIMUM_BYTES:
                break
        self.from_json(text)
        return text

    def _cut(self, longest: int) -> Self:
        return replace(
            self,
            checks=tuple(
                replace(check, detail=_plain(check.detail, longest)) for check in self.checks[:MAXIMUM_CHECKS]
            ),
            error=None if self.error is None else _plain(self.error, max(longest, 200)),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a report; raises ContractError that names the field and the fix."""
        fields = Fields(json_object(text, document="adoption report", maximum_bytes=MAXIMUM_BYTES))
        fields.version(SCHEMA_VERSION)
        report = cls(
            server=fields.checked("server", names.server_name),
            client_version=fields.text("client_version", longest=40),
            vbr_version=fields.optional_text("vbr_version", longest=40),
            vpc_endpoint_id=fields.checked("vpc_endpoint_id", names.endpoint_id),
            document_version=fields.integer("document_version", least=1, most=2**53),
            outcome=Outcome(fields.one_of("outcome", list(Outcome))),
            checks=fields.each("checks", _check, most=MAXIMUM_CHECKS),
            error=fields.optional_text("error", longest=500),
            at=fields.checked("at", _time),
        )
        fields.finish()
        return report


def _bucket(value: object, *, field: str) -> RepositoryBucket:
    fields = Fields(value, where=field)
    bucket = RepositoryBucket(
        name=fields.checked("name", names.bucket_name),
        folder=fields.checked("folder", names.folder_name),
        immutability_days=fields.integer("immutability_days", least=0, most=MAXIMUM_IMMUTABILITY_DAYS),
    )
    fields.finish()
    return bucket


def _check(value: object, *, field: str) -> CheckResult:
    fields = Fields(value, where=field)
    check = CheckResult(
        id=fields.checked("id", _check_id),
        ok=fields.boolean("ok"),
        detail=fields.text("detail", longest=500),
    )
    fields.finish()
    return check


def _check_id(value: object, *, field: str) -> str:
    if not isinstance(value, str) or not _CHECK_ID.fullmatch(value):
        raise ContractError(field, f"{names.shown(value)} is not a check's id")
    return value


def _time(value: object, *, field: str) -> str:
    """Check that it is a moment of the calendar: the workflow reckons with it."""
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            datetime.fromisoformat(value)
            return value
    except ValueError:
        pass
    raise ContractError(field, f"{names.shown(value)} is not a time in UTC such as 2026-01-31T22:00:00Z")


def _plain(text: str, longest: int) -> str:
    ascii_only = text.encode("ascii", "replace").decode()
    return "".join(character if character.isprintable() else " " for character in ascii_only)[:longest]
