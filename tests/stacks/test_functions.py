"""The functions and everything around them, as they would be deployed."""

import zipfile
from io import BytesIO
from pathlib import Path

from lambdas.core import site
from lambdas.core.clients import CONFIG
from lambdas.prove_lockdown import logic as prove_lockdown
from stacks.constructs.site import PROBE_KEY
from stacks.policies import network
from tests.stacks.synthesized import OF_THE_HUB, ROOT, Synthesized, as_text

# Lambda unpacks it at each cold start.
MAXIMUM_ZIPPED = 200 * 1024


def test_every_folder_of_a_step_is_a_function_and_the_other_way_round(synthesized: Synthesized) -> None:
    """A handler path that doesn't exist is found by Lambda only when it is called."""
    handlers = {properties["Handler"] for properties in synthesized.of_type("AWS::Lambda::Function").values()}
    folders = {
        path.name
        for path in (ROOT / "lambdas").iterdir()
        if path.is_dir() and path.name not in ("core", "__pycache__", *OF_THE_HUB)
    }

    assert folders
    assert handlers == {f"lambdas.{folder}.handler.lambda_handler" for folder in folders}


def test_every_function_has_the_same_frame(synthesized: Synthesized) -> None:
    """One runtime, one architecture, one layer: what all share is said once and holds for all."""
    functions = synthesized.of_type("AWS::Lambda::Function")

    for name, function in functions.items():
        assert function["Runtime"] == "python3.13", name
        assert function["Architectures"] == ["arm64"], name
        assert 0 < function["Timeout"] <= 120, name
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        assert len(function["Layers"]) == 1, name
        assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"], name
        assert len(function["FunctionName"]) <= 64, name
    assert len({str(function["Code"]) for function in functions.values()}) == 1
    assert len({str(function["Layers"]) for function in functions.values()}) == 1
    assert len({str(function["Role"]) for function in functions.values()}) == len(functions)


def test_the_layer_is_pinned_and_fits_the_functions(synthesized: Synthesized) -> None:
    """`latest` would change what runs without any change here."""
    pinned = as_text(next(iter(synthesized.of_type("AWS::Lambda::Function").values()))["Layers"][0])
    template = synthesized.template_file.read_text()

    assert pinned.startswith("<SsmParameterValueawsservicepowertoolspythonarm64python313")
    assert "/aws/service/powertools/python/arm64/python3.13/3.37.0" in template
    assert "aws-lambda-powertools==3.37.0" in (ROOT / "requirements-dev.txt").read_text()


def test_a_task_waits_longer_than_its_function_may_run(synthesized: Synthesized) -> None:
    """Otherwise Step Functions starts the next attempt while the first one still writes."""
    for name, task in synthesized.tasks.items():
        function = synthesized.resources[task["Resource"]]["Properties"]
        assert task["TimeoutSeconds"] > function["Timeout"], name


def test_a_function_outlasts_the_patience_of_its_calls(synthesized: Synthesized) -> None:
    """What hangs must be told in words, and not by a time-out that says nothing."""
    options = vars(CONFIG)
    attempts = options["retries"]["total_max_attempts"]
    # The waits in between double from one second.
    waits = sum(2**number for number in range(attempts - 1))
    longest = attempts * (options["connect_timeout"] + options["read_timeout"]) + waits

    for name, function in synthesized.of_type("AWS::Lambda::Function").items():
        assert longest <= function["Timeout"], name


def test_every_log_is_kept_for_a_limited_time(synthesized: Synthesized) -> None:
    """Never-expiring logs cost for ever; a function without its own group gets one that never expires."""
    groups = synthesized.of_type("AWS::Logs::LogGroup")
    functions = synthesized.of_type("AWS::Lambda::Function")
    (machine,) = synthesized.of_type("AWS::StepFunctions::StateMachine").values()
    used = {function["LoggingConfig"]["LogGroup"]["Ref"] for function in functions.values()}

    assert all(group["RetentionInDays"] == 90 for group in groups.values())
    assert len(used) == len(functions)
    assert used < set(groups)
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["TracingConfiguration"] == {"Enabled": True}


def test_what_the_table_remembers_outlives_the_stack(synthesized: Synthesized) -> None:
    """The intents of the sites are in no template; only a table of a failed creation, empty, goes again."""
    (table,) = [r for r in synthesized.resources.values() if r["Type"] == "AWS::DynamoDB::Table"]

    assert table["DeletionPolicy"] == "RetainExceptOnCreate"
    assert table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["KeySchema"] == [{"AttributeName": "site", "KeyType": "HASH"}]
    assert table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_every_way_in_which_a_run_can_end_badly_is_told(synthesized: Synthesized) -> None:
    """A run that was stopped or timed out reaches no state that could tell it."""
    rules = synthesized.of_type("AWS::Events::Rule").values()
    (rule,) = [rule for rule in rules if rule.get("EventPattern", {}).get("source") == ["aws.states"]]
    (machine,) = synthesized.of_type("AWS::StepFunctions::StateMachine")
    (topic,) = synthesized.of_type("AWS::SNS::Topic")
    (subscription,) = synthesized.of_type("AWS::SNS::Subscription").values()

    assert set(rule["EventPattern"]["detail"]["status"]) == {"FAILED", "TIMED_OUT", "ABORTED"}
    assert [as_text(arn) for arn in rule["EventPattern"]["detail"]["stateMachineArn"]] == [f"<{machine}>"]
    assert [as_text(target["Arn"]) for target in rule["Targets"]] == [f"<{topic}>"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == (
        "email",
        "backup-operations@example.com",
    )


def asset_files(synthesized: Synthesized) -> dict[str, Path]:
    (asset,) = synthesized.folder.glob("asset.*")
    return {path.relative_to(asset).as_posix(): path for path in asset.rglob("*") if path.is_file()}


def test_the_asset_holds_exactly_what_the_functions_import(synthesized: Synthesized) -> None:
    """Tests, caches or somebody's notes would change the asset's hash, and with it every deployment."""
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("lambdas", "contract")
        for path in (ROOT / package).rglob("*.py")
    }

    assert len(expected) > 40
    assert set(asset_files(synthesized)) == expected


def test_the_asset_is_small(synthesized: Synthesized) -> None:
    """Third-party packages come from the layer."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in asset_files(synthesized).items():
            archive.write(path, name)

    assert 0 < len(packed.getvalue()) < MAXIMUM_ZIPPED


def test_what_stacks_and_steps_write_down_twice_is_equal() -> None:
    """The stacks may import only the errors of the steps; a key that differs would deny everything."""
    assert (network.SITE_TAG, network.CREATOR_TAG) == (site.SITE_TAG, site.CREATOR_TAG)
    assert prove_lockdown.PROBE_KEY == PROBE_KEY
