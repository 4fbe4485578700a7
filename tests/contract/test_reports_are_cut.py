"""A report must arrive whatever went wrong: it is cut to fit, and never fails because of its own texts."""

from dataclasses import replace

import pytest

from contract.documents import AdoptionReport, CheckResult, Outcome
from contract.names import EndpointId, ServerName
from contract.parameters import MAXIMUM_BYTES

REPORT = AdoptionReport(
    server=ServerName("vbr01"),
    client_version="0.1.0",
    vbr_version="12.3.1.1139",
    vpc_endpoint_id=EndpointId("vpce-0123456789abcdef0"),
    document_version=1,
    outcome=Outcome.FAILED,
    checks=(),
    error=None,
    at="2026-01-31T22:00:00Z",
)


def checks(number: int, detail: str) -> tuple[CheckResult, ...]:
    """Return checks with ids of the greatest length."""
    return tuple(CheckResult(id=f"{'c' * 38}{index:02}", ok=False, detail=detail) for index in range(number))


@pytest.mark.parametrize("number", [0, 1, 5, 30, 99])
@pytest.mark.parametrize("text", ["e" * 100_000, '"\\' * 50_000, "\u0430\x00\n" * 10_000, "\U0001f600" * 999])
def test_a_report_with_huge_texts_fits_and_can_be_read(number: int, text: str) -> None:
    """Quotes double in JSON, and every character outside ASCII would be six."""
    report = replace(REPORT, checks=checks(number, text), error=text)

    written = report.to_json()
    read = AdoptionReport.from_json(written)

    assert len(written) <= MAXIMUM_BYTES
    assert read.outcome is Outcome.FAILED
    assert len(read.checks) == min(number, 30)
    assert read.error


def test_a_short_report_keeps_every_word() -> None:
    """Cutting is for what doesn't fit."""
    report = replace(REPORT, checks=checks(2, "the resolver drops private answers"), error="no answer")

    assert AdoptionReport.from_json(report.to_json()) == report


def test_the_error_is_cut_last() -> None:
    """Why it failed is what the person in the cloud needs most."""
    report = replace(REPORT, checks=checks(30, "d" * 500), error="why " * 50)

    read = AdoptionReport.from_json(report.to_json())

    assert read.error == "why " * 50
    assert all(len(check.detail) < 500 for check in read.checks)
