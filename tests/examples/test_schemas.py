"""The schemas in the repository are those of the code, and refuse what the code refuses."""

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from contract.errors import ContractError
from generate import pictures, schemas
from generate.__main__ import main
from onprem_client import configuration
from onprem_client.errors import ConfigurationError
from stacks.settings import AppSettings
from tests.conftest import ROOT

EXAMPLES = sorted(folder.name for folder in (ROOT / "examples").iterdir() if folder.is_dir())
SETTINGS = json.loads((ROOT / "cdk.json").read_text())["context"]["settings"]
each_example = pytest.mark.parametrize("example", EXAMPLES)


def validator(name: str) -> Draft7Validator:
    """Read a schema as it is in the repository."""
    schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def problems(name: str, value: object) -> list[str]:
    """Say what a schema has against a value."""
    return [error.message for error in validator(name).iter_errors(value)]


def test_the_generated_files_are_up_to_date(
    assembly: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A schema that is a version behind marks good settings as wrong, and a picture misleads."""
    template = json.loads((assembly / "VbrPrivateLinkSite.template.json").read_text())
    monkeypatch.setattr("generate.__main__.template", lambda: template)

    assert main(["--check"]) == 0, capsys.readouterr().err


def test_an_old_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that can't fail proves nothing."""
    old = tmp_path / "old.json"
    old.write_text("{}")
    monkeypatch.setattr("generate.__main__.ROOT", tmp_path)
    monkeypatch.setattr(schemas, "files", lambda: {old: "new"})
    monkeypatch.setattr("generate.__main__.template", dict)
    monkeypatch.setattr(pictures, "files", lambda _template: {})

    assert main(["--check"]) == 1
    assert main([]) == 0
    assert old.read_text() == "new"


@each_example
def test_the_schema_accepts_what_the_product_accepts(example: str) -> None:
    """And the product what the schema accepts, for each example."""
    given = json.loads((ROOT / "examples" / example / "cdk.json").read_text())

    assert AppSettings.from_context(given["context"]["settings"]).sites
    assert problems("cdk", given) == []


def test_the_schema_accepts_the_settings_that_are_delivered() -> None:
    """They are the first that an editor opens."""
    assert problems("cdk", json.loads((ROOT / "cdk.json").read_text())) == []


def with_site(**changes: object) -> dict[str, Any]:
    """Return the settings with a changed site."""
    return {**copy.deepcopy(SETTINGS), "sites": [{**SETTINGS["sites"][0], **changes}]}


@pytest.mark.parametrize(
    "settings",
    [
        {**SETTINGS, "account": "111122223333"},
        {name: value for name, value in SETTINGS.items() if name != "region"},
        {**SETTINGS, "account_id": "1111"},
        {**SETTINGS, "log_retention_days": 91},
        {**SETTINGS, "sites": []},
        {**SETTINGS, "hub": {"regions": []}},
        {**SETTINGS, "hub": {"regions": ["eu-west-1"], "accounts": ["444455556666"], "units": []}},
        {**SETTINGS, "alert_emails": "nobody@example.com"},
        with_site(site="Tokyo"),
        with_site(site=None),
        with_site(onprem_cidr=["10.0.0.0/8"]),
        with_site(endpoint_policy="open"),
        with_site(release_deadline_hours=0),
        with_site(policy_administrators=["arn:aws:iam::111122223333:role/*"]),
        with_site(buckets=[{"folder": "a", "immutability_days": "30"}]),
        with_site(buckets=[{"immutability_days": 0}]),
    ],
)
def test_the_schema_refuses_what_the_product_refuses(settings: dict[str, Any]) -> None:
    """Red underlining before synth says the same."""
    with pytest.raises(ContractError):
        AppSettings.from_context(settings)

    assert problems("cdk", {"context": {"settings": settings}})


@each_example
def test_the_client_reads_each_example(example: str) -> None:
    """And each names the schema, and a site of its own cdk.json."""
    file = ROOT / "examples" / example / "client.toml"
    text = file.read_text()
    read = configuration.load(file)
    settings = json.loads(file.with_name("cdk.json").read_text())["context"]["settings"]

    assert problems("client", tomllib.loads(text)) == []
    assert text.startswith("#:schema ../../schemas/client.schema.json\n")
    regions = settings.get("hub", {}).get("regions", [settings["region"]])
    assert {site.name for site in read.sites} == {site["site"] for site in settings["sites"]}
    assert {site.region for site in read.sites} <= set(regions)
    assert read.server in settings["sites"][0].get("expected_servers", [read.server])


def test_every_line_of_the_client_example_is_accepted() -> None:
    """Whoever takes the mark of comment off a line gets what it says."""
    with schemas.every_line_of_the_example() as files:
        for file in files:
            configuration.load(file)
            assert problems("client", tomllib.loads(file.read_text())) == []


@pytest.mark.parametrize(
    "line", ["strateg = 'a'", "strategy = 'both'", "auto_apply = 'yes'", "window = 'night'", "[vbr]\nurl = 1"]
)
def test_the_clients_schema_refuses_what_the_client_refuses(line: str, tmp_path: Path) -> None:
    """The same for client.toml."""
    good = {"strategy": "regions-file", "site": [{"name": "tokyo", "region": "ap-northeast-1"}]}
    file = tmp_path / "client.toml"
    given = {**good, **tomllib.loads(line)}
    file.write_text(
        line
        + ("" if "strategy" in line else "\nstrategy = 'regions-file'")
        + "\nstate_folder = 'a'\n[[site]]\nname = 'tokyo'\nregion = 'ap-northeast-1'\n"
    )

    assert problems("client", good) == []
    assert problems("client", given)
    with pytest.raises(ConfigurationError):
        configuration.load(file)
