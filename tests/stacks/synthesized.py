"""Run app.py as people and pipelines do, and read what came out."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STACK = "VbrPrivateLinkSite"
HUB = "VbrPrivateLinkHub"
STACK_SET = f"{HUB}Sites*.stackset.template.json"
# Folders in lambdas/ whose functions are in the hub, and in no site's account.
OF_THE_HUB = {"record_site_status", "request_run", "show_fleet", "survey_fleet"}
# Without network and without an account: nothing is looked up. The port is the one of "discard".
SCRUBBED = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    # Where it is anyway: with another home, each synth would unpack the CDK again.
    "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(Path.home() / ".cache/aws/jsii/package-cache"),
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "20",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    "LANG": "C.UTF-8",
    "PATH": os.environ["PATH"],
    "PYTHONDONTWRITEBYTECODE": "1",
}


def synthesize(
    folder: Path,
    *,
    context: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    program: str = "import runpy; runpy.run_path('app.py')",
) -> subprocess.CompletedProcess[str]:
    """Synthesize into *folder*, with nothing of this process's environment but the path."""
    variables = {**SCRUBBED, "HOME": str(folder.parent), "CDK_OUTDIR": str(folder), **(environment or {})}
    if context is not None:
        variables["CDK_CONTEXT_JSON"] = json.dumps(context)
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@dataclass(frozen=True)
class Synthesized:
    """What one synth has written."""

    folder: Path
    template: str = f"{STACK}.template.json"

    @property
    def template_file(self) -> Path:
        """The template as CloudFormation gets it."""
        return self.folder / self.template

    @cached_property
    def resources(self) -> dict[str, Any]:
        """Every resource by its logical id."""
        resources: dict[str, Any] = json.loads(self.template_file.read_text())["Resources"]
        return resources

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The values of the outputs as text, by logical id, with references in angle brackets."""
        given: dict[str, Any] = json.loads(self.template_file.read_text())["Outputs"]
        return {name: as_text(output["Value"]) for name, output in given.items()}

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of every resource of a type; none at all is an error."""
        found = {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }
        assert found, f"the template has no {kind}"
        return found

    def function(self, step: str) -> dict[str, Any]:
        """Return the function of a step."""
        (found,) = [
            properties
            for properties in self.of_type("AWS::Lambda::Function").values()
            if properties["Handler"] == f"lambdas.{step}.handler.lambda_handler"
        ]
        return found

    def statements_of(self, role: str) -> Iterator[dict[str, Any]]:
        """Yield what a role, by its logical id, may do."""
        for policy in self.of_type("AWS::IAM::Policy").values():
            if {"Ref": role} in policy["Roles"]:
                yield from policy["PolicyDocument"]["Statement"]

    def role_of(self, step: str) -> str:
        """Return the logical id of the role of a step."""
        role: str = self.function(step)["Role"]["Fn::GetAtt"][0]
        return role

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The state machine, with functions named by their logical ids."""
        (machine,) = self.of_type("AWS::StepFunctions::StateMachine").values()
        text = "".join(
            part if isinstance(part, str) else part["Fn::GetAtt"][0]
            for part in machine["DefinitionString"]["Fn::Join"][1]
        )
        definition: dict[str, Any] = json.loads(text)
        return definition

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """The states by name."""
        states: dict[str, dict[str, Any]] = self.definition["States"]
        return states

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """The states that call a function; none at all is an error."""
        tasks = {name: state for name, state in self.states.items() if state["Type"] == "Task"}
        assert tasks
        return tasks

    def step_of(self, state: str) -> str:
        """Return the folder in lambdas/ of the function that a state calls."""
        handler: str = self.resources[self.states[state]["Resource"]]["Properties"]["Handler"]
        return handler.split(".")[1]


def actions(statement: Mapping[str, Any]) -> list[str]:
    """Return the actions of a statement, whether it is one or a list."""
    given = statement["Action"]
    return list(given) if isinstance(given, list) else [given]


def resources(statement: Mapping[str, Any]) -> list[str]:
    """Return the resources of a statement as text, with references in angle brackets."""
    given = statement["Resource"]
    return [as_text(resource) for resource in (given if isinstance(given, list) else [given])]


def as_text(value: Any) -> str:
    """Write a value of the template as one text."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            joined: str = separator.join(as_text(part) for part in parts)
            return joined
        case _:
            raise AssertionError(f"a value that this reader doesn't know: {value}")
