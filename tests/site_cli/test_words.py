"""What the command makes of histories, outputs and errors, without an AWS."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOTokenLoadError,
)

from site_cli import cli, cost, display, errors, sites
from site_cli.account import aws_errors, sign_in
from site_cli.execution import Step, failure, outcome, steps

BEGAN = datetime(2026, 1, 31, 22, 0, tzinfo=UTC)


def event(kind: str, second: int, **details: object) -> dict[str, Any]:
    """One event of a history."""
    return {"type": kind, "timestamp": BEGAN + timedelta(seconds=second), **details}


def test_a_history_becomes_steps() -> None:
    """A retry is shown as waiting; what went right in the end is not shown as wrong."""
    history = [
        event("ExecutionStarted", 0),
        event("TaskStateEntered", 0, stateEnteredEventDetails={"name": "CheckEndpoint"}),
        event("LambdaFunctionScheduled", 0),
        event("LambdaFunctionFailed", 1, lambdaFunctionFailedEventDetails={"error": "EndpointPendingError"}),
        event("LambdaFunctionScheduled", 3),
        event("LambdaFunctionSucceeded", 4),
        event("TaskStateExited", 4),
        event("ChoiceStateEntered", 4, stateEnteredEventDetails={"name": "Outcome"}),
        event("TaskStateEntered", 4, stateEnteredEventDetails={"name": "ReleaseLease"}),
    ]

    [check, release] = steps(history)
    assert (check.state, check.attempts, check.failed, check.seconds) == ("CheckEndpoint", 2, False, 4.0)
    assert (release.state, release.ended) == ("ReleaseLease", None)


def test_a_failed_function_is_a_failed_step() -> None:
    """A step whose error is caught must not look as if it had worked."""
    [step] = steps(
        [
            event("TaskStateEntered", 0, stateEnteredEventDetails={"name": "EnsureBucket"}),
            event("LambdaFunctionScheduled", 0),
            event(
                "LambdaFunctionFailed", 1, lambdaFunctionFailedEventDetails={"error": "BucketRefusedError"}
            ),
            event("TaskStateExited", 1),
        ]
    )

    assert step.failed


@pytest.mark.parametrize(
    ("status", "error", "cause", "said"),
    [
        (
            "FAILED",
            "NetworkNotFoundError",
            json.dumps(
                {"errorMessage": "vpc_id: no VPC carries the tag", "errorType": "NetworkNotFoundError"}
            ),
            "NetworkNotFoundError: vpc_id: no VPC carries the tag",
        ),
        ("FAILED", "UnknownIntent", "upgrade the stack", "UnknownIntent: upgrade the stack"),
        ("FAILED", None, None, "the run failed: no reason was given"),
        ("FAILED", "States.Timeout", "[1]", "States.Timeout: [1]"),
    ],
)
def test_the_reason_of_a_failed_run_is_one_sentence(
    status: str, error: str | None, cause: str | None, said: str
) -> None:
    """Nobody wants to read Lambda's JSON with its stack trace."""
    assert failure(status, error, cause) == said


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT"])
def test_a_run_that_was_ended_says_what_to_do(status: str) -> None:
    """Step Functions gives no reason for these."""
    assert failure(status, None, None).endswith("start it again")


def test_what_a_first_run_has_made_is_listed() -> None:
    """The list is what the run's own output says."""
    found = outcome(
        "arn",
        {
            "lease": {"repair": True},
            "bucket": {"created": ["backups"]},
            "endpoint": {"created": ["sg-1", "vpce-1"]},
            "policy": {"changed": True, "buckets": ["backups"]},
            "publication": {"changed": True, "version": 1},
            "end": {"status": {"state": "enforced", "let_in": ["vpce-1"]}, "drift": []},
        },
    )

    assert found.state == "enforced"
    assert found.changed == (
        "created bucket backups",
        "created sg-1",
        "created vpce-1",
        "locked bucket backups to the endpoint",
        "published the endpoint (version 1 of the parameter)",
    )


def test_a_run_that_only_checks_has_changed_nothing() -> None:
    """Its steps say what they would have changed; that must not be listed as done."""
    drift = {
        "resource": "sg-1",
        "property": "ingress",
        "found": "0.0.0.0/0",
        "wanted": "10.0.0.0/8",
        "repaired": False,
        "why": "this run only checks",
    }
    found = outcome(
        "arn",
        {
            "lease": {"repair": False},
            "policy": {"changed": True, "buckets": ["a"]},
            "end": {"drift": [drift]},
        },
    )

    assert found.changed == ()
    assert found.drift == ("sg-1, ingress: 0.0.0.0/0 -> 10.0.0.0/8 (this run only checks)",)
    assert found.state == "not as it should be"


def test_a_removed_endpoint_is_named_though_its_step_was_tried_again() -> None:
    """The second try finds only the group: the endpoint was deleted by the first."""
    found = outcome(
        "arn",
        {
            "lease": {"repair": True, "memory": {"endpoints": ["vpce-1"]}},
            "detachment": {"buckets": []},
            "removal": {"removed": ["sg-1"]},
            "end": {"status": {"state": "released", "let_in": []}},
        },
    )

    assert found.changed == ("removed sg-1", "no longer used: vpce-1")


@pytest.mark.parametrize("kind", ["superseded", "idle"])
def test_a_run_that_was_not_needed_says_so(kind: str) -> None:
    """Otherwise somebody waits for a change that another run makes."""
    found = outcome("arn", {"lease": {"outcome": kind}})

    assert (found.state, found.changed) == ("not needed", ())
    assert found.why


# 7 metrics in alarms, 16 custom metrics, a dashboard, 3,500 state transitions, 0.1 GB of logs.
BESIDE = Decimal("0.70") + Decimal("4.80") + Decimal("3.00") + Decimal("0.0875") + Decimal("0.05")


def lines_of(*, zones: int = 2, region: str = "ap-northeast-1", **more: Decimal | None) -> list[cost.Line]:
    """An estimate with the table that is shipped."""
    return cost.estimate(
        cost.Prices.read(),
        partition="aws",
        region=region,
        zones=zones,
        gigabytes=more.get("gigabytes"),
        hour=more.get("hour"),
    )


def test_an_estimate_counts_hours_zones_and_gigabytes() -> None:
    """0.014 x 730 x 2 and 1,500,000 GB over the first petabyte's border."""
    lines = lines_of(gigabytes=Decimal(1_500_000))

    assert lines[0].amount == Decimal("20.440")
    assert lines[1].amount == Decimal(1_000_000) * Decimal("0.01") + Decimal(500_000) * Decimal("0.006")
    assert cost.total(lines) == Decimal("20.440") + Decimal(13_000) + BESIDE


def test_an_unknown_price_stays_unknown() -> None:
    """A guess would be believed."""
    lines = lines_of(region="eu-west-1", gigabytes=Decimal(1))

    assert lines[0].amount is None
    assert cost.total(lines) is None


def test_an_estimate_names_everything_that_is_billed() -> None:
    """What an account pays for alarms, metrics and the dashboard is not less than for a small endpoint."""
    lines = {line.what: line.amount for line in lines_of(gigabytes=Decimal(0))}

    assert lines == {
        "interface endpoint": Decimal("20.440"),
        "data through the endpoint": 0,
        "alarms": Decimal("0.70"),
        "custom metrics": Decimal("4.80"),
        "dashboard": 3,
        "workflow": Decimal("0.0875"),
        "logs": Decimal("0.05"),
        "functions, table, parameters": 0,
    }


def test_no_price_is_carried_into_another_partition() -> None:
    """China has a price list of its own, in another currency."""
    lines = cost.estimate(
        cost.Prices.read(),
        partition="aws-cn",
        region="cn-north-1",
        zones=2,
        gigabytes=Decimal(0),
        hour=Decimal("0.01"),
    )

    assert {line.what for line in lines if line.amount is not None} == {
        "interface endpoint",
        "functions, table, parameters",
    }


def test_a_price_can_be_said() -> None:
    """For every Region that the table doesn't have, and for negotiated prices."""
    lines = lines_of(region="eu-west-1", gigabytes=Decimal(0), hour=Decimal("0.011"))

    assert cost.total(lines) == Decimal("16.060") + BESIDE


def test_every_price_has_a_source_and_a_date() -> None:
    """A table without them can't be checked, and grows old unseen."""
    prices = cost.Prices.read()

    assert prices.endpoint_hour
    for price in (*prices.endpoint_hour.values(), *prices.beside.values()):
        source, _comma, read = price.source.rpartition(", ")
        assert source
        assert datetime.strptime(read, "%Y-%m-%d").replace(tzinfo=UTC) > BEGAN - timedelta(days=3650)


def refused(code: str) -> ClientError:
    """What boto3 raises when AWS says no."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "StartExecution")


@pytest.mark.parametrize(
    ("raised", "code", "remedy"),
    [
        (NoCredentialsError(), 3, "aws sso login"),
        (PartialCredentialsError(provider="env", cred_var="key"), 3, "AWS_SECRET_ACCESS_KEY"),
        (SSOTokenLoadError(error_msg="the token has expired"), 3, "sign in again"),
        (refused("ExpiredToken"), 3, "sign in again"),
        (refused("AccessDeniedException"), 8, "use a role that may"),
        (refused("ThrottlingException"), 8, "StartExecution"),
        (EndpointConnectionError(endpoint_url="https://states.example.com"), 8, "check the network"),
    ],
)
def test_every_error_of_aws_is_a_sentence_with_a_remedy(raised: Exception, code: int, remedy: str) -> None:
    """A traceback tells an operator nothing."""
    with pytest.raises(errors.SiteCliError, match=remedy) as caught, aws_errors():
        raise raised

    assert caught.value.exit_code == code


@pytest.fixture(name="nowhere")
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither credentials nor a Region, wherever boto3 may look."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list"], "no Region is set: name it with --region"),
        (["list", "--region", "ap-northeast-1"], "no AWS credentials were found"),
        (["list", "--region", "us-iso-east-1"], "isolated partition"),
        (["list", "--profile", "nobody"], "aws configure list-profiles"),
    ],
)
def test_a_first_run_says_what_is_missing(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No credentials, no Region, no such profile: the first three things that go wrong."""
    assert cli.main([*arguments, "--json"]) == 3
    printed = capsys.readouterr()

    assert said in printed.err
    assert "Traceback" not in printed.err
    assert json.loads(printed.out)["exit_code"] == 3


@pytest.mark.usefixtures("nowhere")
def test_cost_needs_no_account(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever wants to know the price hasn't got anything yet."""
    arguments = ["cost", "--region", "ap-northeast-1", "--zones", "2", "--gb", "3000", "--json"]

    assert cli.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["usd_a_month"] == 59.08


@pytest.mark.parametrize(
    "arguments",
    [
        ["cost"],
        ["cost", "--region", "nowhere", "--zones", "2"],
        ["cost", "--region", "eu-west-1", "--zones", "7"],
        ["cost", "--region", "eu-west-1", "--zones", "2", "--gb", "-1"],
        ["show", "Not A Name"],
        ["release"],
        ["dance"],
    ],
)
def test_a_wrong_command_line_ends_with_two(arguments: list[str]) -> None:
    """As argparse itself does."""
    try:
        code = cli.main(arguments)
    except SystemExit as ended:
        code = int(str(ended.code))

    assert code == errors.EXIT_USAGE


def test_help_lists_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """They are a part of the interface."""
    with pytest.raises(SystemExit):
        cli.main(["provision", "--help"])
    text = capsys.readouterr().out

    assert len(errors.exit_codes()) >= 12
    for code, meaning in errors.exit_codes():
        assert f"{code:>3}  {meaning}" in text


def test_what_cannot_be_read_is_shown_and_hides_nothing() -> None:
    """A newer stack, or a hostile report, must not make a site vanish from the list."""
    found: dict[str, sites.Site] = {}
    for parameter, value in (
        ("/vbr-privatelink/tokyo/settings", '{"schema_version": 2}'),
        ("/vbr-privatelink/tokyo/adoption/vbr01", "hello"),
        ("/vbr-privatelink/tokyo/seen/vbr01", "{}"),
        ("/vbr-privatelink/tokyo/something/new", "{}"),
        ("/vbr-privatelink/Not A Site/settings", "{}"),
    ):
        sites._take(found, parameter, value, "2026-01-31T22:00:00+00:00")

    [site] = found.values()
    assert (site.deployed, site.settings, site.reports) == (True, None, {})
    assert list(site.seen) == ["vbr01"]
    assert ["upgrade the older side" in problem for problem in site.problems] == [True, False]


def test_sign_in_refuses_a_region_before_anything_is_asked() -> None:
    """A typing error must not look like a network error."""
    with pytest.raises(errors.AwsConfigurationError, match="give an AWS Region such as"):
        sign_in(profile=None, region="tokyo")


def test_lines_say_each_step_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A log that repeats itself each second can't be read."""
    lines = display.Lines()
    done = Step(state="AcquireLease", began=BEGAN, ended=BEGAN + timedelta(seconds=1))
    waiting = Step(state="CheckEndpoint", began=BEGAN, waits_for="EndpointPendingError", failed=True)
    over = Step(state="CheckEndpoint", began=BEGAN, ended=BEGAN + timedelta(seconds=61))
    for seen in ([done], [done, waiting], [done, waiting], [done, over], [done, over]):
        lines.update(seen)

    assert [line.split(":")[0].split() for line in capsys.readouterr().out.splitlines()] == [
        ["ok", "AcquireLease"],
        ["...", "CheckEndpoint"],
        ["ok", "CheckEndpoint"],
    ]
