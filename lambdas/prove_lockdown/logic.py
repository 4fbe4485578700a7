"""
Prove that nobody gets in from outside the endpoint, without writing anything.

The probe is a PutObject whose If-Match can't match, sent from AWS, outside the endpoint, by a role that
*is* allowed to put that key: so only the bucket policy can be what refuses it. A refusal for any other
reason proves nothing.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, assert_never

from lambdas.core.errors import LockdownNotEffectiveError, LockdownUnprovenError

# The only key that the probing role may put.
PROBE_KEY = "vbr-privatelink-probe"


class Answer(StrEnum):
    """How S3 answered the probe."""

    DENIED_BY_BUCKET_POLICY = "denied by the bucket policy"
    DENIED_OTHERWISE = "denied for another reason"
    LET_THROUGH = "let through"


class Probe(Protocol):
    """What this step needs from S3."""

    def put_from_outside(self, bucket: str) -> tuple[Answer, str]:
        """Return how S3 answered, and its own words."""
        ...


def prove(probe: Probe, buckets: Sequence[str]) -> None:
    """Return only if every bucket's policy refuses the probe."""
    for bucket in buckets:
        answer, words = probe.put_from_outside(bucket)
        match answer:
            case Answer.DENIED_BY_BUCKET_POLICY:
                continue
            case Answer.LET_THROUGH:
                raise LockdownNotEffectiveError(
                    f"bucket {bucket}: a write from outside the endpoint was let through ({words}); "
                    "check the bucket policy for what lets it in"
                )
            case Answer.DENIED_OTHERWISE:
                raise LockdownUnprovenError(
                    f"bucket {bucket}: the probe was refused, but not by the bucket policy ({words}), which "
                    f"proves nothing; let the probing role put {PROBE_KEY} in this bucket"
                )
            case _:
                assert_never(answer)
