"""The Automation runbook, as a template: nothing here can run it."""

import json
import re
from typing import Any

import pytest

from contract import names
from contract.errors import ContractError
from lambdas.acquire_lease.request import Purpose, ReconcileRequest, reconcile_request
from tests.stacks.synthesized import Synthesized, actions, as_text, resources


@pytest.fixture(name="document")
def _document(synthesized: Synthesized) -> dict[str, Any]:
    (document,) = synthesized.of_type("AWS::SSM::Document").values()
    return document


def test_the_form_is_an_automation_that_people_can_read(document: dict[str, Any]) -> None:
    """Its name is binding, and a new version never replaces the document."""
    content = document["Content"]

    assert (document["Name"], document["DocumentType"]) == ("VbrPrivateLink-Reconcile", "Automation")
    assert document["UpdateMethod"] == "NewVersion"
    assert content["schemaVersion"] == "0.3"
    assert set(content["parameters"]) == {"Site", "Request"}
    assert all(one["description"] for one in content["parameters"].values())


@pytest.mark.parametrize(
    ("request_", "understood"),
    [
        ("Provision", ReconcileRequest(site="tokyo", intent="provisioned")),
        ("Check", ReconcileRequest(site="tokyo", purpose=Purpose.CHECK)),
        ("Release", ReconcileRequest(site="tokyo", intent="released")),
    ],
)
def test_what_the_form_sends_is_understood_at_the_door(
    document: dict[str, Any], request_: str, understood: ReconcileRequest
) -> None:
    """Automation puts the parameters into the text; the door reads what comes out."""
    (step,) = document["Content"]["mainSteps"]
    text = step["inputs"]["input"].replace("{{ Site }}", "tokyo").replace("{{ Request }}", request_)

    assert step["action"] == "aws:executeStateMachine"
    assert "{{" not in text
    assert reconcile_request(json.loads(text)) == understood


def test_the_form_offers_nothing_that_the_door_does_not_know(document: dict[str, Any]) -> None:
    """A word more in the list would be a failed run and a mail."""
    assert document["Content"]["parameters"]["Request"]["allowedValues"] == ["Provision", "Check", "Release"]


@pytest.mark.parametrize(
    "name", ["tokyo", "a", "a-b", "0", "x" * 32, "", "-", "a-", "-a", "A", "x" * 33, "a b", 'a","b":"', "a\n"]
)
def test_the_form_takes_the_names_that_the_contract_takes(document: dict[str, Any], name: str) -> None:
    """Nothing that could end the text which it is put into, either."""
    pattern = re.compile(document["Content"]["parameters"]["Site"]["allowedPattern"][1:-1])
    try:
        names.site_name(name)
    except ContractError:
        assert not pattern.fullmatch(name)
    else:
        assert pattern.fullmatch(name)


def test_its_role_runs_the_workflow_and_nothing_else(synthesized: Synthesized) -> None:
    """What the action needs, for this machine; assumed by this account's automations alone."""
    (document,) = synthesized.of_type("AWS::SSM::Document").values()
    role = document["Content"]["assumeRole"]["Fn::GetAtt"][0]
    (machine,) = synthesized.of_type("AWS::StepFunctions::StateMachine")
    may = {
        action: resources(statement)
        for statement in synthesized.statements_of(role)
        for action in actions(statement)
    }
    (trust,) = synthesized.of_type("AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]["Statement"]
    runs = [as_text(one) for one in may["states:DescribeExecution"]]

    assert set(may) == {"states:StartExecution", "states:DescribeExecution", "states:StopExecution"}
    assert may["states:StartExecution"] == [f"<{machine}>"]
    assert runs == may["states:StopExecution"]
    assert runs[0].endswith(":execution:vbr-privatelink-reconcile:*")
    assert trust["Principal"] == {"Service": "ssm.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    assert "automation-execution/*" in as_text(trust["Condition"]["ArnLike"]["aws:SourceArn"])
