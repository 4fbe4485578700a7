"""Each example synthesizes, and speaks of its own partition alone."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract import names
from stacks.settings import AppSettings
from tests.stacks.synthesized import ROOT, STACK, synthesize

EXAMPLES = sorted(folder.name for folder in (ROOT / "examples").iterdir() if folder.is_dir())
SERVICES = ("cloudwatch", "events", "lambda", "rolesanywhere", "sns", "sqs", "ssm", "states")
# One process for all: to start the CDK's runtime takes longer than to synthesize.
PROGRAM = """
import json, os, pathlib, runpy
import aws_cdk

begin = aws_cdk.App
for name in json.loads(os.environ["EXAMPLES"]):
    example = json.loads(pathlib.Path("examples", name, "cdk.json").read_text())["context"]
    folder = str(pathlib.Path(os.environ["CDK_OUTDIR"], name))
    aws_cdk.App = lambda context: begin(context={**context, **example}, outdir=folder)
    runpy.run_path("app.py")
"""


@pytest.fixture(name="templates", scope="module")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "cdk.out"
    answer = synthesize(folder, environment={"EXAMPLES": json.dumps(EXAMPLES)}, program=PROGRAM)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder


def example(name: str) -> AppSettings:
    """Read the settings of an example."""
    context = json.loads((ROOT / "examples" / name / "cdk.json").read_text())["context"]
    return AppSettings.from_context(context["settings"])


def texts(value: Any) -> Iterator[str]:
    """Every text in a template."""
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield key
                yield from texts(item)
        case list():
            for item in value:
                yield from texts(item)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_synthesizes_for_its_own_partition(name: str, templates: Path) -> None:
    """A role that speaks of `arn:aws:` in China is refused in the middle of a deployment."""
    settings = example(name)
    partition = names.partition(settings.region)
    files = sorted((templates / name).glob("*.template.json"))
    found = " ".join(text for file in files for text in texts(json.loads(file.read_text())["Resources"]))
    # Principals are named alike in every partition, see IAM's "AWS service principals".
    hosts = set(re.findall(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?", found))

    assert files
    assert "AWS::Lambda::Function" in found
    assert set(re.findall(r"arn:(aws[a-z-]*):", found)) <= {partition}
    assert hosts <= {f"{service}.amazonaws.com" for service in SERVICES}


def test_the_layer_is_named_where_nobody_publishes_it(templates: Path) -> None:
    """Powertools' public parameter is only known in the commercial partition."""
    for name in ("china", "govcloud"):
        text = (templates / name / f"{STACK}.template.json").read_text()
        assert f'"{example(name).powertools_layer_arn}"' in text
        assert "/aws/service/powertools" not in text
    assert "/aws/service/powertools" in (templates / "one-account" / f"{STACK}.template.json").read_text()
