"""Synthesize the product's own app, as `cdk synth` would, and read what the assembly says of itself."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

# Node 20 is what the README asks for; the CDK's runtime warns about its age in eleven lines.
_QUIET = {
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "20",
}


def settings_of(root: Path) -> dict[str, Any]:
    """Read the settings that cdk.json of *root* holds, to be changed and given to `synthesize`."""
    settings: dict[str, Any] = json.loads((root / "cdk.json").read_text())["context"]["settings"]
    return settings


class SynthesisError(Exception):
    """The app did not synthesize; the message is what it printed."""


def synthesize(root: Path, output: Path, *, settings: Mapping[str, Any] | None = None) -> None:
    """Run `app.py` of *root* into *output*, without credentials; *settings* replace those of cdk.json."""
    context = {} if settings is None else {"CDK_CONTEXT_JSON": json.dumps({"settings": settings})}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, str(root / "app.py")],
        cwd=root,
        env={**environment, **_QUIET, **context, "CDK_OUTDIR": str(output)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SynthesisError((done.stdout + done.stderr).strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class StackArtifact:
    """A stack of an assembly, and where it belongs."""

    name: str
    account_id: str
    region: str


def stacks_of(folder: Path) -> list[StackArtifact]:
    """Return the stacks of an assembly, each behind those that it depends on."""
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    found: dict[str, StackArtifact] = {}

    def visit(name: str) -> None:
        artifact = artifacts[name]
        if artifact["type"] != "aws:cloudformation:stack" or name in found:
            return
        for other in artifact.get("dependencies", []):
            visit(other)
        account_id, region = artifact["environment"].removeprefix("aws://").split("/")
        found[name] = StackArtifact(name=name, account_id=account_id, region=region)

    for name in artifacts:
        visit(name)
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A synthesized app with one stack."""

    folder: Path
    stack_name: str
    account_id: str
    region: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read manifest.json; the stack's environment is `aws://<account>/<region>`."""
        [stack] = stacks_of(folder)
        return cls(folder=folder, stack_name=stack.name, account_id=stack.account_id, region=stack.region)
