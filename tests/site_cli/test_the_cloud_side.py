"""One story, told by the command: look, provision, watch, drift, release. Judged by AWS, not by its words."""

import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox.running import Sandbox
from site_cli import cli
from site_cli.errors import NotConfirmedError
from tests.conftest import ROOT
from tests.site_cli.conftest import Command, said


def endpoints(sandbox: Sandbox) -> list[str]:
    """The endpoints that are there."""
    found = sandbox.aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    return [one["VpcEndpointId"] for one in found if one["State"].lower() not in ("deleting", "deleted")]


def typed(variables: dict[str, str], arguments: list[str], answer: str) -> tuple[int, str]:
    """Run the command on a terminal, and answer its question."""
    terminal, theirs = pty.openpty()
    text, answered, give_up = "", False, time.monotonic() + 120
    with subprocess.Popen(
        [sys.executable, "-m", "site_cli", *arguments],
        cwd=ROOT,
        env={**variables, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        while time.monotonic() < give_up:
            try:
                text += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                # The other side is closed: the command has ended.
                break
            if not answered and "to go on: " in text:
                answered = True
                os.write(terminal, f"{answer}\n".encode())
    os.close(terminal)
    return process.returncode, text


@contextmanager
def may_not(sandbox: Sandbox, action: str) -> Iterator[None]:
    """Take a permission away from the person."""
    iam = sandbox.aws.client("iam")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
    iam.put_user_policy(UserName="administrator", PolicyName="less", PolicyDocument=json.dumps(policy))
    try:
        yield
    finally:
        iam.delete_user_policy(UserName="administrator", PolicyName="less")


def test_a_site_from_the_terminal(sandbox: Sandbox, run: Command, variables: dict[str, str]) -> None:
    """Everything that a platform engineer does in a site's life."""
    site = sandbox.settings.site
    listed = run("list")
    assert listed.returncode == 0, listed.stderr
    assert [line.split() for line in listed.stdout.splitlines()] == [
        ["SITE", "STATE", "ENDPOINT", "SERVERS"],
        [site, "never", "run", "-", "-"],
    ]
    assert said(run("cost", site, "--gb", "0", "--json"))["usd_a_month"] == 29.08

    provisioned = run("provision", site)
    assert provisioned.returncode == 0, provisioned.stdout + provisioned.stderr
    [endpoint] = endpoints(sandbox)
    assert f"created {endpoint}" in provisioned.stdout
    assert f"created bucket {sandbox.bucket}" in provisioned.stdout
    assert "ok  CheckEndpoint: wait until the endpoint is available" in provisioned.stdout
    assert "the site is: enforced" in provisioned.stdout

    again = said(run("provision", site, "--json"))
    assert (again["changed"], again["state"]) == ([], "enforced")

    watched = run("watch", "--execution", again["execution"])
    assert watched.returncode == 0, watched.stderr
    assert "nothing had to be changed" in watched.stdout
    assert "no run is at work" in run("watch", site).stdout

    shown = said(run("show", site, "--json"))
    assert shown["document"]["vpc_endpoint_id"] == endpoint
    assert (shown["state"], shown["intent"], shown["problems"]) == ("enforced", "provisioned", [])
    assert f"bucket      {sandbox.bucket}, locked" in run("show", site).stdout

    assert run("check", site).returncode == 0
    sandbox.aws.client("s3").delete_public_access_block(Bucket=sandbox.bucket)
    checked = run("check", site)
    assert checked.returncode == 10, checked.stdout
    assert "the site is: not as it should be" in checked.stdout
    assert "repaired" in run("provision", site).stdout

    refused = run("release", site)
    assert (refused.returncode, endpoints(sandbox)) == (14, [endpoint])
    assert "call it with --yes" in refused.stderr
    code, text = typed(variables, ["release", site], site)
    assert code == 0, text
    assert "the site is: released" in text
    assert endpoints(sandbox) == []
    assert said(run("list", "--json"))["sites"][0]["state"] == "released"


def test_another_answer_than_the_sites_name_starts_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes that is typed out of habit must not be enough."""
    answers = io.StringIO("yes\n")
    answers.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", answers)
    options = cli.parser().parse_args(["release", sandbox.settings.site])

    with pytest.raises(NotConfirmedError, match="not the site's name"):
        cli.confirm_release(options)


def test_a_run_that_is_not_followed_can_be_found_again(sandbox: Sandbox, run: Command) -> None:
    """Somebody closes the laptop; somebody else watches."""
    site = sandbox.settings.site
    started = said(run("provision", site, "--no-wait", "--json"))["execution"]
    watched = run("watch", site)

    assert watched.returncode == 0, watched.stderr
    assert started in watched.stdout or "no run is at work" in watched.stdout
    assert endpoints(sandbox)


def test_a_failed_run_says_why(sandbox: Sandbox, run: Command) -> None:
    """In the workflow's own sentence, which names the fix."""
    site = sandbox.settings.site
    ec2 = sandbox.aws.client("ec2")
    tag = {"Key": "vbr-privatelink", "Value": site}
    ec2.delete_tags(Resources=[sandbox.vpc_id], Tags=[tag])
    try:
        failed = run("provision", site)
        looked = run("doctor", site)
    finally:
        ec2.create_tags(Resources=[sandbox.vpc_id], Tags=[tag])

    assert failed.returncode == 4
    assert "NetworkNotFoundError: vpc_id: no VPCs carry the tag" in failed.stderr
    assert looked.returncode == 22
    assert "tag exactly one VPC" in looked.stdout


def test_mistakes_have_one_sentence_and_no_traceback(sandbox: Sandbox, run: Command) -> None:
    """No such site, not deployed here, expired credentials, not allowed, nobody listens."""
    site = sandbox.settings.site
    with may_not(sandbox, "states:StartExecution"):
        denied = run("provision", site)
    cases = [
        (denied, 8, "use a role that may"),
        (run("show", "osaka"), 6, f"name one of: {site}"),
        (run("provision", "osaka"), 6, "add it to cdk.json"),
        (run("show", site, "--region", "eu-west-1"), 5, "is not deployed in account 111122223333, eu-west-1"),
        (run("list", "--region", "eu-west-1"), 5, "--profile"),
        (run("list", AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE"), 3, "sign in again"),
        (run("list", AWS_ENDPOINT_URL="https://127.0.0.1:9"), 8, "could not be reached"),
        (run("watch", "--execution", f"{sandbox.state_machine_arn}:x"), 1, "there is no execution"),
    ]

    for done, code, sentence in cases:
        assert (done.returncode, done.stdout) == (code, ""), done.stdout + done.stderr
        assert sentence in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_doctor_looks_at_everything_and_finds_the_way_home(sandbox: Sandbox, run: Command) -> None:
    """Bootstrap, layer, quota, subnets; and whether answers reach the backup server."""
    before = said(run("doctor", "--json"))
    assert before["exit_code"] == 22
    bad = [one for one in before["findings"] if one["ok"] is False]
    assert {one["about"] for one in bad} == {f"{sandbox.settings.site}: route"}
    assert all("route propagation" in one["remedy"] for one in bad)

    ec2 = sandbox.aws.client("ec2")
    gateway = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpcId=sandbox.vpc_id, VpnGatewayId=gateway)
    for table in ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [sandbox.vpc_id]}])[
        "RouteTables"
    ]:
        ec2.create_route(
            RouteTableId=table["RouteTableId"], DestinationCidrBlock="192.168.0.0/16", GatewayId=gateway
        )
    after = run("doctor")

    assert after.returncode == 0, after.stdout + after.stderr
    for line in ("bootstrap: version", "layer: ", "stack: is deployed", "of at most 50 interface endpoints"):
        assert line in after.stdout


def test_doctor_says_what_a_new_account_lacks(run: Command) -> None:
    """An account that was never bootstrapped is the first thing that a deployment trips over."""
    done = run("doctor", "--region", "eu-west-1")

    assert done.returncode == 22, done.stdout + done.stderr
    assert "what to do: npx aws-cdk@2 bootstrap aws://111122223333/eu-west-1" in done.stdout
    assert "stack: is not deployed yet" in done.stdout


def test_doctor_goes_on_where_it_may_not_look(sandbox: Sandbox, run: Command) -> None:
    """One missing permission must not hide what else is wrong."""
    with may_not(sandbox, "servicequotas:GetServiceQuota"):
        done = run("doctor", sandbox.settings.site)

    assert "quota" in done.stdout
    assert "can't be told" in done.stdout
    assert "subnets" in done.stdout


def test_a_full_vpc_is_found_before_the_run_fails(
    sandbox: Sandbox, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint that replaces another needs room beside it."""
    from moto.servicequotas.resources.default_quotas.vpc import VPC_DEFAULT_QUOTAS

    [quota] = [one for one in VPC_DEFAULT_QUOTAS if one["QuotaCode"] == "L-29B6F2EB"]
    monkeypatch.setitem(quota, "Value", 1.0)
    done = run("doctor", sandbox.settings.site)

    assert done.returncode == 22
    assert "ask for more in Service Quotas" in done.stdout
