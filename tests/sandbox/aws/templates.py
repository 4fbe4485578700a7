"""Small templates, written by hand: a function, a machine that calls it, and the roles of both."""

import json
from typing import Any

from sandbox.aws.testing import trust

Template = dict[str, Any]


def function(code: str, **properties: Any) -> Template:
    """Return a role and a function `Fn` with *code* in `index.py`."""
    return {
        "FnRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": trust("lambda.amazonaws.com")},
        },
        "Fn": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {"ZipFile": code},
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["FnRole", "Arn"]},
                "Runtime": "python3.13",
                "Architectures": ["arm64"],
                "Timeout": 10,
                **properties,
            },
        },
    }


def machine(definition: dict[str, Any]) -> Template:
    """
    Return a role that may call `Fn`, and a machine; the text FN in *definition* becomes the function's ARN.
    """
    arn = {"Fn::GetAtt": ["Fn", "Arn"]}
    pieces: list[Any] = []
    for piece in json.dumps(definition).split("FN"):
        pieces += [arn, piece] if pieces else [piece]
    return {
        "MachineRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": trust("states.amazonaws.com")},
        },
        "MachinePolicy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "PolicyName": "call",
                "Roles": [{"Ref": "MachineRole"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}],
                },
            },
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "DependsOn": ["MachinePolicy"],
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["MachineRole", "Arn"]},
                "DefinitionString": {"Fn::Join": ["", pieces]},
            },
        },
    }


def stack(*parts: Template, outputs: dict[str, Any] | None = None) -> Template:
    """Return a template of *parts*, with the names of the function and machine among its outputs."""
    resources: Template = {}
    for part in parts:
        resources |= part
    found = dict(outputs or {})
    if "Fn" in resources:
        found["Function"] = {"Value": {"Ref": "Fn"}}
    if "Machine" in resources:
        found["Machine"] = {"Value": {"Fn::GetAtt": ["Machine", "Arn"]}}
    return {"Resources": resources, "Outputs": found}
