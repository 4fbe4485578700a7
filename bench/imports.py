"""
A cold start of each function: its handler imported and its clients made, against the same clients with
Powertools' Logger and one pydantic model, imported bare. Also the size of the functions' own package.
"""

import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.measure import ROUNDS, Row, interleaved, median, process

ROOT = Path(__file__).resolve().parents[1]
LIMIT_KILOBYTES = 200
# What a handler makes at its first call stands behind functools.cache, without an argument.
OURS = """
import importlib, inspect, json, os, sys
import boto3
made, make = [], boto3.client
def client(service, **more):
    made.append(service)
    return make(service, **more)
boto3.client = client
module = importlib.import_module(sys.argv[1])
for value in list(vars(module).values()):
    if hasattr(value, "cache_info") and not inspect.signature(value).parameters:
        value()
if len(sys.argv) > 2:
    print(json.dumps(made))
"""
BARE = """
import sys
import boto3
from aws_lambda_powertools import Logger
from pydantic import BaseModel
class Request(BaseModel):
    site: str
Logger(service="bare")
for service in sys.argv[1:]:
    boto3.client(service)
"""


def measure(folder: Path, assembly: Path, *, rounds: int = ROUNDS) -> list[Row]:
    """Measure every function of the synthesized stack with its own environment."""
    ours: list[float] = []
    bare: list[float] = []
    worst = (0.0, "")
    for module, variables in _functions(assembly):
        environment = _environment(variables)
        clients = _clients(module, environment, folder)
        taken = interleaved(
            {
                "ours": _wall([sys.executable, "-c", OURS, module], environment, folder),
                "bare": _wall([sys.executable, "-c", BARE, *clients], environment, folder),
            },
            rounds=rounds,
        )
        ours.append(median(taken["ours"]))
        bare.append(median(taken["bare"]))
        worst = max(worst, (ours[-1] / bare[-1], module))
    return [
        Row(
            what="cold start of a handler, mean of all",
            against="its clients, Logger and a model, bare",
            unit="s",
            ours=sum(ours) / len(ours),
            theirs=sum(bare) / len(bare),
            limit=1.15,
            rounds=rounds,
        ),
        Row(
            what=f"cold start, the slowest against its own ({worst[1].split('.')[1]})",
            against="its clients, Logger and a model, bare",
            unit="ratio",
            ours=worst[0],
            theirs=None,
            limit=1.15,
            rounds=rounds,
        ),
        _package(assembly),
    ]


def _wall(command: Sequence[str], environment: dict[str, str], folder: Path) -> Callable[[int], float]:
    return lambda _number: process(command, environment=environment, folder=folder).wall


def _functions(assembly: Path) -> list[tuple[str, dict[str, str]]]:
    functions = []
    for resource in _resources(assembly):
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        properties = resource["Properties"]
        handler = str(properties["Handler"])
        if not handler.startswith("lambdas."):
            continue
        variables = properties.get("Environment", {}).get("Variables", {})
        # What CloudFormation fills in isn't read at an import.
        plain = {name: value if isinstance(value, str) else "x" for name, value in variables.items()}
        functions.append((handler.rpartition(".")[0], plain))
    return functions


def _resources(assembly: Path) -> list[dict[str, Any]]:
    [template] = assembly.glob("*.template.json")
    resources: dict[str, dict[str, Any]] = json.loads(template.read_text())["Resources"]
    return list(resources.values())


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AWS_REGION": "ap-northeast-1",
        "AWS_DEFAULT_REGION": "ap-northeast-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "none",
        **variables,
    }


def _clients(module: str, environment: dict[str, str], folder: Path) -> Sequence[str]:
    process([sys.executable, "-c", OURS, module, "say"], environment=environment, folder=folder)
    clients: list[str] = json.loads((folder / "output.txt").read_text().splitlines()[-1])
    return clients


def _package(assembly: Path) -> Row:
    sizes = {asset.name: _zipped(asset) for asset in assembly.glob("asset.*") if (asset / "lambdas").is_dir()}
    [size] = sizes.values()
    return Row(
        what="the functions' package, one for all",
        against="",
        unit="KB",
        ours=size / 1000,
        theirs=None,
        limit=LIMIT_KILOBYTES,
        rounds=1,
    )


def _zipped(folder: Path) -> int:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return len(target.getvalue())
