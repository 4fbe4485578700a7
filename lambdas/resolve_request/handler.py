"""Read the site's settings and find its network; the first step that can refuse the settings."""

from functools import cache
from typing import Any, Literal

import boto3

from contract import names
from lambdas.core.clients import CONFIG
from lambdas.core.execution import Execution
from lambdas.core.settings import FunctionSettings
from lambdas.core.site import KnownSite
from lambdas.core.step import Request, parse, step
from lambdas.resolve_request.ec2_network import Ec2Network
from lambdas.resolve_request.logic import resolve, resolve_for_release
from lambdas.resolve_request.ssm_settings import SsmSettings


class Settings(FunctionSettings):
    """`settings_digests`: the site and the digest of its settings as deployed, site=digest, with commas."""

    settings_digests: str

    def digests(self) -> dict[str, str]:
        """Return the digest by site."""
        return dict(pair.split("=", 1) for pair in self.settings_digests.split(","))


class ResolveRequest(Request):
    """Which site, in which run, and what it should be."""

    site: str
    execution: str
    intent: Literal["provisioned", "released"]


@cache
def _settings() -> SsmSettings:
    return SsmSettings(boto3.client("ssm", config=CONFIG))


@cache
def _network() -> Ec2Network:
    return Ec2Network(boto3.client("ec2", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the site as all later steps see it: `Site`, or `KnownSite` when it is to be released."""
    request = parse(ResolveRequest, event)
    site = names.site_name(request.site)
    execution = Execution.from_arn(request.execution)
    digests = Settings.from_env().digests()
    found: KnownSite
    if request.intent == "released":
        found = resolve_for_release(_settings(), site=site, execution=execution, digests=digests)
    else:
        found = resolve(_settings(), _network(), site=site, execution=execution, digests=digests)
    return found.model_dump(mode="json")
