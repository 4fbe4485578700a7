"""
Composes the stacks. Looks nothing up, so that synth works offline and gives everybody the same template.
"""

import json
import sys
from pathlib import Path

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from contract.errors import ContractError
from stacks.asset_stack import AssetStack
from stacks.hub_stack import HubStack
from stacks.settings import AppSettings
from stacks.site_stack import SiteStack

# Without the CDK CLI (tests, the sandbox) nobody else reads cdk.json; what the CLI passes takes precedence.
context = json.loads(Path(__file__).with_name("cdk.json").read_text())["context"]

app = App(context=context)
try:
    settings = AppSettings.from_context(app.node.try_get_context("settings"))
except ContractError as error:
    sys.exit(f"cdk.json: {error}")

if hub := settings.hub:
    stack = HubStack(app, "VbrPrivateLinkHub", settings=settings, hub=hub)
    for region in hub.regions:
        name = f"VbrPrivateLinkAssets-{region}"
        stack.add_stack_dependency(AssetStack(app, name, settings=settings, hub=hub, region=region))
else:
    SiteStack(app, "VbrPrivateLinkSite", settings=settings)
Validations.of(app).add_plugins(AwsSolutionsChecks(app))

app.synth()
