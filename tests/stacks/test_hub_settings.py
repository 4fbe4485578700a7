"""The hub's settings: refused at synth, with one sentence that names the field."""

import copy
import json
from typing import Any

import pytest

from contract.errors import ContractError
from stacks.settings import AppSettings
from tests.stacks.synthesized import ROOT

SETTINGS: dict[str, Any] = json.loads((ROOT / "tests/stacks/organization.json").read_text())["settings"]
SITE: dict[str, Any] = SETTINGS["sites"][0]
OVERRIDE = {"account_id": "444455556666", "site": "tokyo", "expected_servers": ["vbr09"]}


def with_hub(**changes: object) -> dict[str, Any]:
    """Return the settings with a changed hub; None takes a field out."""
    hub = {**copy.deepcopy(SETTINGS["hub"]), **changes}
    return {**SETTINGS, "hub": {name: value for name, value in hub.items() if value is not None}}


def with_override(**changes: object) -> dict[str, Any]:
    return with_hub(overrides=[{**OVERRIDE, **changes}])


def by_accounts(**changes: object) -> dict[str, Any]:
    return with_hub(
        **{
            "organization_id": None,
            "organizational_units": None,
            "accounts": ["444455556666", "100000000001"],
            **changes,
        }
    )


BAD = [
    ({**SETTINGS, "hub": []}, "settings.hub"),
    (with_hub(units=[]), "settings.hub.units"),
    (with_hub(organization_id="o-1"), "settings.hub.organization_id"),
    (with_hub(organization_id=None), "settings.hub.organization_id"),
    (with_hub(organizational_units=["ou-1"]), "settings.hub.organizational_units[0]"),
    (with_hub(organizational_units=None), "settings.hub.organizational_units"),
    (with_hub(accounts=["444455556666"]), "settings.hub.organizational_units"),
    (with_hub(organizational_units=["r-ab12", "r-ab12"]), "settings.hub.organizational_units"),
    (with_hub(regions=[]), "settings.hub.regions"),
    (with_hub(regions=["moon"]), "settings.hub.regions[0]"),
    (with_hub(regions=["eu-west-1", "eu-west-1"], overrides=[]), "settings.hub.regions"),
    (with_hub(regions=["eu-west-1", "cn-north-1"], overrides=[]), "settings.hub.regions"),
    (with_hub(silent_after_days=1), "settings.hub.silent_after_days"),
    (with_hub(excluded_accounts=["444455556666"]), "settings.hub.overrides[0].account_id"),
    (by_accounts(excluded_accounts=["100000000002"]), "settings.hub.excluded_accounts"),
    (by_accounts(accounts=["100000000002"]), "settings.hub.overrides[0].account_id"),
    (with_override(account_id="4"), "settings.hub.overrides[0].account_id"),
    (with_override(site="osaka"), "settings.hub.overrides[0].site"),
    (with_override(region="us-east-1"), "settings.hub.overrides[0].region"),
    (with_override(buckets=SITE["buckets"]), "settings.hub.overrides[0].buckets"),
    (with_override(bucket_prefix="own"), "settings.hub.overrides[0].bucket_prefix"),
    (with_override(expected_servers=["VBR"]), "settings.hub.overrides[0].expected_servers[0]"),
    (with_override(subnet_ids=["subnet-0123456789abcdef0"]), "settings.hub.overrides[0].vpc_id"),
    (with_hub(overrides=[{"account_id": "444455556666", "site": "tokyo"}]), "settings.hub.overrides[0]"),
    (with_hub(overrides=["444455556666"]), "settings.hub.overrides[0]"),
    # The same place twice, once by its Region and once by all.
    (
        with_hub(overrides=[OVERRIDE, {**OVERRIDE, "region": "ap-northeast-1"}]),
        "settings.hub.overrides[1]",
    ),
    # Together over what a parameter holds.
    (
        with_override(
            policy_administrators=[
                f"arn:aws:iam::444455556666:role/{'r' * 490}{number}" for number in range(10)
            ]
        ),
        "settings.hub.overrides[0]",
    ),
    (
        {
            **SETTINGS,
            "sites": [{**SITE, "buckets": [{"name": "one", "folder": "f", "immutability_days": 0}]}],
        },
        "settings.sites[0].buckets[0].name",
    ),
    # A name that fits in the hub's Region, and not in the longest.
    (
        {**with_hub(regions=["ap-northeast-1"], overrides=[]), "sites": [{**SITE, "site": "s" * 32}]},
        "settings.sites[0].bucket_prefix",
    ),
]


@pytest.mark.parametrize(("given", "field"), BAD, ids=[f"{field}-{n}" for n, (_, field) in enumerate(BAD)])
def test_a_bad_setting_is_refused_naming_the_field(given: dict[str, Any], field: str) -> None:
    """In the middle of a deployment into a hundred accounts it would be a bad surprise."""
    with pytest.raises(ContractError) as refusal:
        AppSettings.from_context(given)

    assert refusal.value.field == field
    assert str(refusal.value).isascii()


def test_an_override_is_the_common_site_with_its_differences() -> None:
    """Whole documents, and null takes a common value away."""
    settings = AppSettings.from_context(
        {
            **with_hub(overrides=[{**OVERRIDE, "vpc_id": None, "subnet_ids": []}]),
            "sites": [
                {
                    **SITE,
                    "vpc_id": "vpc-0123456789abcdef0",
                    "subnet_ids": ["subnet-0123456789abcdef0"],
                }
            ],
        }
    )

    assert settings.hub is not None
    (override,) = settings.hub.overrides
    (common,) = settings.sites
    assert (override.site.vpc_id, override.site.subnet_ids) == (None, ())
    assert override.site.expected_servers == ("vbr09",)
    assert override.site.buckets == common.buckets
    assert common.vpc_id == "vpc-0123456789abcdef0"


def test_accounts_are_found_by_the_organization_or_named() -> None:
    """The two ways of StackSets."""
    found, named = AppSettings.from_context(with_hub()).hub, AppSettings.from_context(by_accounts()).hub

    assert found is not None
    assert named is not None
    assert (found.service_managed, named.service_managed) == (True, False)
    assert found.silent_after_days == 3
