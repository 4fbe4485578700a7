"""cdk.json is the only source of settings: what synthesizes must be accepted at run time."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from contract.errors import ContractError
from contract.settings import SiteSettings, settings_digest
from stacks.settings import AppSettings
from tests.stacks.synthesized import ROOT, Synthesized, synthesize

SETTINGS: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]["settings"]
SITE: dict[str, Any] = SETTINGS["sites"][0]


def with_site(**changes: object) -> dict[str, Any]:
    """Return the settings with a changed site."""
    return {**copy.deepcopy(SETTINGS), "sites": [{**SITE, **changes}]}


def test_the_settings_parameter_is_what_the_workflow_reads(synthesized: Synthesized) -> None:
    """Written by the stack, read by the contract: the same settings on both sides."""
    parameters = synthesized.of_type("AWS::SSM::Parameter").values()
    found = {
        parameter["Name"]: SiteSettings.from_json(parameter["Value"])
        for parameter in parameters
        if parameter["Name"].endswith("/settings")
    }

    wanted = AppSettings.from_context(SETTINGS).sites
    assert found == {f"/vbr-privatelink/{site.site}/settings": site for site in wanted}
    assert found


def test_every_site_is_known_to_the_first_step(synthesized: Synthesized) -> None:
    """It refuses a site without settings before it touches the table."""
    variables = synthesized.function("acquire_lease")["Environment"]["Variables"]

    assert variables["SITES"].split(",") == [site["site"] for site in SETTINGS["sites"]]


def test_the_function_that_reads_the_settings_knows_what_was_deployed(synthesized: Synthesized) -> None:
    """Without the digest of each, whoever may write the parameter decides who is let in."""
    written = {
        parameter["Name"].split("/")[2]: settings_digest(parameter["Value"])
        for parameter in synthesized.of_type("AWS::SSM::Parameter").values()
        if parameter["Name"].endswith("/settings")
    }
    variables = synthesized.function("resolve_request")["Environment"]["Variables"]

    assert dict(pair.split("=") for pair in variables["SETTINGS_DIGESTS"].split(",")) == written
    assert set(written) == {site["site"] for site in SETTINGS["sites"]}


def test_the_digests_of_twenty_sites_fit_into_a_functions_environment() -> None:
    """Lambda allows 4 KB for all variables: a stack that synthesizes must also deploy."""
    digests = ",".join(f"{'s' * 32}={settings_digest('')}" for _ in range(20))

    assert len(digests) < 4096 - 1024


def test_accounts_that_may_be_granted_access_reach_the_first_step(tmp_path: Path) -> None:
    """It is the one that refuses a grant; without the setting nobody of another account gets one."""
    settings = {**SETTINGS, "recovery_accounts": ["444455556666", "100000000001"]}
    done = synthesize(tmp_path / "out", context={"settings": settings})
    assert done.returncode == 0, done.stderr
    variables = Synthesized(tmp_path / "out").function("acquire_lease")["Environment"]["Variables"]

    assert variables["RECOVERY_ACCOUNTS"] == "444455556666,100000000001"


@pytest.mark.parametrize(
    "field", ["account_id", "region", "log_retention_days", "start_on_deployment", "sites"]
)
def test_a_missing_setting_is_named(field: str) -> None:
    """Nothing security-relevant has a default."""
    given = {name: value for name, value in SETTINGS.items() if name != field}

    with pytest.raises(ContractError, match=rf"^settings\.{field}: is missing$"):
        AppSettings.from_context(given)


NO_BOOLEANS: list[object] = ["true", 1, 0, None, []]
BAD: list[tuple[object, str]] = [
    (None, "settings"),
    ([], "settings"),
    ("settings", "settings"),
    ({**SETTINGS, "acount_id": "111122223333"}, "settings.acount_id"),
    ({**SETTINGS, "account_id": 111122223333}, "settings.account_id"),
    ({**SETTINGS, "account_id": "123"}, "settings.account_id"),
    ({**SETTINGS, "region": "tokyo"}, "settings.region"),
    ({**SETTINGS, "recovery_accounts": "444455556666"}, "settings.recovery_accounts"),
    ({**SETTINGS, "recovery_accounts": ["*"]}, "settings.recovery_accounts[0]"),
    ({**SETTINGS, "region": "us-iso-east-1"}, "settings.region"),
    ({**SETTINGS, "region": "cn-north-1"}, "settings.powertools_layer_arn"),
    ({**SETTINGS, "powertools_layer_arn": "latest"}, "settings.powertools_layer_arn"),
    (
        {**SETTINGS, "powertools_layer_arn": "arn:aws:lambda:us-east-1:111122223333:layer:Powertools:1"},
        "settings.powertools_layer_arn",
    ),
    (
        {
            **SETTINGS,
            "region": "cn-north-1",
            "powertools_layer_arn": "arn:aws:lambda:cn-north-1:111122223333:layer:Powertools:1",
        },
        "settings.powertools_layer_arn",
    ),
    ({**SETTINGS, "log_retention_days": 1}, "settings.log_retention_days"),
    ({**SETTINGS, "log_retention_days": "90"}, "settings.log_retention_days"),
    ({**SETTINGS, "log_retention_days": True}, "settings.log_retention_days"),
    ({**SETTINGS, "log_retention_days": 90.0}, "settings.log_retention_days"),
    ({**SETTINGS, "alert_emails": "ops@example.com"}, "settings.alert_emails"),
    ({**SETTINGS, "alert_emails": ["ops"]}, "settings.alert_emails[0]"),
    ({**SETTINGS, "alert_emails": ["ops@example.com", "a@b@c"]}, "settings.alert_emails[1]"),
    ({**SETTINGS, "alert_emails": ["@"]}, "settings.alert_emails[0]"),
    ({**SETTINGS, "alert_emails": ["ops@example.com\n"]}, "settings.alert_emails[0]"),
    ({**SETTINGS, "alert_emails": ["ops@ex\u0430mple.com"]}, "settings.alert_emails[0]"),
    (
        {**SETTINGS, "alert_emails": [f"ops{number}@example.com" for number in range(11)]},
        "settings.alert_emails",
    ),
    *(({**SETTINGS, "start_on_deployment": value}, "settings.start_on_deployment") for value in NO_BOOLEANS),
    ({**SETTINGS, "sites": []}, "settings.sites"),
    ({**SETTINGS, "sites": {}}, "settings.sites"),
    ({**SETTINGS, "sites": ["tokyo"]}, "settings.sites[0]"),
    ({**SETTINGS, "sites": [SITE, SITE]}, "settings.sites"),
    (with_site(site="Tokyo"), "settings.sites[0].site"),
    (with_site(schema_version=2), "settings.sites[0].schema_version"),
    (with_site(onprem_cidrs=["0.0.0.0/0"]), "settings.sites[0].onprem_cidrs[0]"),
    (with_site(onprem_cidrs=["10.0.0.1/8"]), "settings.sites[0].onprem_cidrs[0]"),
    (with_site(onprem_cidrs=[]), "settings.sites[0].onprem_cidrs"),
    (with_site(buckets=[]), "settings.sites[0].buckets"),
    (with_site(buckets=[{"folder": "a/b", "immutability_days": 0}]), "settings.sites[0].buckets[0].folder"),
    (with_site(vpc_id="vpc"), "settings.sites[0].vpc_id"),
    (with_site(subnet_ids=["subnet-0123456789abcdef0"]), "settings.sites[0].vpc_id"),
    (with_site(bucket_prefix="UPPER"), "settings.sites[0].bucket_prefix"),
    (with_site(endpoint_policy="open"), "settings.sites[0].endpoint_policy"),
    (with_site(policy_administrators=["*"]), "settings.sites[0].policy_administrators[0]"),
    (with_site(retention=30), "settings.sites[0].retention"),
    (with_site(expected_servers=["VBR01"]), "settings.sites[0].expected_servers[0]"),
    (with_site(release_deadline_hours=0), "settings.sites[0].release_deadline_hours"),
    # What only all settings together tell: a default name of 81 characters, a parameter over 4 KB,
    # a bucket of two sites.
    (with_site(bucket_prefix="p" * 20, site="s" * 32), "settings.sites[0].bucket_prefix"),
    (
        with_site(
            policy_administrators=[
                f"arn:aws:iam::111122223333:role/{'r' * 490}{number}" for number in range(10)
            ]
        ),
        "settings.sites[0]",
    ),
    (
        {
            **SETTINGS,
            "sites": [
                {**SITE, "site": name, "buckets": [{"name": "shared", "folder": "f", "immutability_days": 0}]}
                for name in ("tokyo", "osaka")
            ],
        },
        "settings.sites[1].buckets[0].name",
    ),
    (
        with_site(
            buckets=[
                {"folder": "one", "immutability_days": 0},
                {
                    "name": "vbr-tokyo-111122223333-ap-northeast-1",
                    "folder": "two",
                    "immutability_days": 0,
                },
            ]
        ),
        "settings.sites[0].buckets[1].name",
    ),
]


@pytest.mark.parametrize(("given", "field"), BAD, ids=[f"{field}-{n}" for n, (_, field) in enumerate(BAD)])
def test_a_bad_setting_is_refused_naming_the_field(given: object, field: str) -> None:
    """At synth, on the desk of whoever wrote it, and not at night in a run."""
    with pytest.raises(ContractError) as refusal:
        AppSettings.from_context(given)

    assert refusal.value.field == field
    assert str(refusal.value).isascii()
    assert "\n" not in str(refusal.value)


def test_good_settings_are_read() -> None:
    """The counterpart: several sites, several buckets, no mail."""
    settings = AppSettings.from_context(
        {**SETTINGS, "alert_emails": [], "sites": [SITE, {**SITE, "site": "osaka"}]}
    )

    assert [site.site for site in settings.sites] == ["tokyo", "osaka"]
    assert settings.alert_emails == ()
    assert settings.start_on_deployment is False
    assert AppSettings.from_context({**SETTINGS, "start_on_deployment": True}).start_on_deployment is True


def test_a_bad_setting_fails_synth_with_one_sentence(tmp_path: Path) -> None:
    """People get the field and the fix, without a traceback, and no template to deploy by mistake."""
    answer = synthesize(tmp_path / "cdk.out", context={"settings": with_site(onprem_cidrs=["0.0.0.0/0"])})

    assert answer.returncode == 1
    assert answer.stderr == (
        "cdk.json: settings.sites[0].onprem_cidrs[0]: 0.0.0.0/0 would let everybody in; "
        "name the on-premises networks\n"
    )
    assert list((tmp_path / "cdk.out").glob("*.template.json")) == []


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ([{"site": "osaka", "keys": [1]}], r"\[0\].site: there is no site 'osaka'; name one of the sites"),
        ([{"site": "tokyo", "keys": [1]}] * 2, r"\[1\].site: 'tokyo' is named twice"),
        ([{"site": "tokyo", "keys": [1, 1]}], r"\[0\].keys: holds the same number twice"),
        ([{"site": "tokyo", "keys": [1, 2, 3]}], r"\[0\].keys: is not a list of 1 to 2 items"),
        ([{"site": "tokyo", "keys": []}], r"\[0\].keys: is not a list of 1 to 2 items"),
        ([{"site": "tokyo", "keys": [True]}], r"\[0\].keys\[0\]: True is not a whole number"),
        ([{"site": "tokyo", "keys": [1], "name": "x"}], r"\[0\].name: is not a known field"),
        ([{"site": "tokyo"}], r"\[0\].keys: is missing"),
    ],
)
def test_a_backup_user_that_can_not_be_made_is_refused(users: object, message: str) -> None:
    """IAM would refuse a third key in the middle of a deployment."""
    with pytest.raises(ContractError, match=f"^settings.backup_users{message}"):
        AppSettings.from_context({**SETTINGS, "backup_users": users})
