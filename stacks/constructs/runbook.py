"""
The Systems Manager Automation runbook `VbrPrivateLink-Reconcile`: a form, and approvals for who wants them.

It sends what an event on the bus would say, so the workflow's own door checks it; the words in the form are
the events' words. The step waits for the run's end, and cancelling the automation stops the run (AWS Systems
Manager User Guide, "aws:executeStateMachine").
"""

import json
from typing import Any

from aws_cdk import Acknowledgment, ArnFormat, CfnOutput, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.policies import runbook as policies
from stacks.policies.wildcards import explained

DOCUMENT = "VbrPrivateLink-Reconcile"
# The contract's rule for a site's name; a test keeps them equal.
SITE_PATTERN = "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
REQUESTS = ("Provision", "Check", "Release")


class Runbook(Construct):
    """The document, and the role that its executions assume."""

    def __init__(
        self, scope: Construct, construct_id: str, *, state_machine: sfn.IStateMachine, execution_arns: str
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=policies.automation_of(stack),
            description=f"The runbook {DOCUMENT}: starts the workflow, and nothing else",
        )
        for statement in policies.run_the_workflow(state_machine.state_machine_arn, execution_arns):
            self.role.add_to_policy(statement)
        Validations.of(self.role).acknowledge(
            *(
                Acknowledgment(id=f"AwsSolutions-IAM5[{finding}]", reason=reason)
                for finding, reason in explained(
                    stack, [execution_arns], "Runs of this one workflow: each has a name of its own."
                ).items()
            )
        )
        self.document = ssm.CfnDocument(
            self,
            "Document",
            name=DOCUMENT,
            document_type="Automation",
            document_format="JSON",
            # A document with a fixed name can't be replaced by another one.
            update_method="NewVersion",
            content=content(state_machine_arn=state_machine.state_machine_arn, role_arn=self.role.role_arn),
        )
        self.definition_arn = stack.format_arn(
            service="ssm",
            resource="automation-definition",
            resource_name=f"{DOCUMENT}:*",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        CfnOutput(self, "RunbookName", value=DOCUMENT)


def content(*, state_machine_arn: str, role_arn: str) -> dict[str, Any]:
    """Write the document."""
    request = {
        "source": "vbr-privatelink",
        "detail-type": "{{ Request }} Requested",
        "detail": {"site": "{{ Site }}"},
    }
    return {
        "schemaVersion": "0.3",
        "description": (
            "Starts the workflow of VBR PrivateLink for one site, and waits for its end.\n\n"
            "- **Provision** makes or repairs the bucket and the endpoint, and tells the backup servers to "
            "use it. Nothing is deleted.\n"
            "- **Check** only looks for changes made by hand, and tells of them.\n"
            "- **Release** takes the lock off the buckets, tells the backup servers to go back to Veeam's "
            "own endpoints, and deletes the endpoint after the last has reported. Buckets and backups stay."
        ),
        "assumeRole": role_arn,
        "parameters": {
            "Site": {
                "type": "String",
                "description": "The site's name, as in the settings",
                "allowedPattern": SITE_PATTERN,
            },
            "Request": {
                "type": "String",
                "description": "What should become of it",
                "allowedValues": list(REQUESTS),
            },
        },
        "mainSteps": [
            {
                "name": "reconcile",
                "action": "aws:executeStateMachine",
                # Once: the workflow retries what can be retried by itself.
                "maxAttempts": 1,
                # As long as a run may take.
                "timeoutSeconds": 6 * 60 * 60,
                "onFailure": "Abort",
                "inputs": {"stateMachineArn": state_machine_arn, "input": json.dumps(request)},
                "isEnd": True,
            }
        ],
        "outputs": ["reconcile.executionArn", "reconcile.status", "reconcile.output"],
    }
