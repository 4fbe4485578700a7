"""What the estimate counts is what the stack has."""

import ast
from collections.abc import Iterator
from pathlib import Path

from site_cli import cost
from stacks.constructs.product_function import METRICS
from tests.stacks.synthesized import ROOT, Synthesized


def metrics_in_alarms(synthesized: Synthesized) -> int:
    """Count as CloudWatch bills: an alarm on an expression is billed for each metric of it."""
    alarms = synthesized.of_type("AWS::CloudWatch::Alarm").values()
    return sum(
        len([one for one in alarm["Metrics"] if "MetricStat" in one]) if "Metrics" in alarm else 1
        for alarm in alarms
    )


def handlers(synthesized: Synthesized) -> Iterator[ast.Module]:
    """Yield the source of the handler of every function of the product."""
    for function in synthesized.of_type("AWS::Lambda::Function").values():
        folder = function["Handler"].split(".")[1]
        yield ast.parse((ROOT / Path("lambdas", folder, "handler.py")).read_text(encoding="utf-8"))


def steps(module: ast.Module) -> int:
    """Count what `lambdas.core.step.step` frames: each sends the metric `Changed` of its own service."""
    return sum(
        isinstance(node, ast.FunctionDef)
        and any(isinstance(one, ast.Name) and one.id == "step" for one in node.decorator_list)
        for node in ast.walk(module)
    )


def counts_of_a_site(module: ast.Module) -> set[str]:
    """Name what a handler counts for each site."""
    return {
        str(keyword.arg)
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count_of_site"
        for keyword in node.keywords
    }


def test_every_alarm_is_in_the_estimate(synthesized: Synthesized, twelve_sites: Synthesized) -> None:
    """An alarm more is a line more on the bill of every account."""
    for made, sites in ((synthesized, 1), (twelve_sites, 12)):
        assert metrics_in_alarms(made) == (
            cost.ALARM_METRICS_OF_A_STACK + sites * cost.ALARM_METRICS_OF_A_SITE
        )


def test_every_custom_metric_is_in_the_estimate(synthesized: Synthesized) -> None:
    """They cost more than all alarms together."""
    found = list(handlers(synthesized))
    of_a_site = set[str]().union(*(counts_of_a_site(module) for module in found))
    watched = {
        alarm["MetricName"]
        for alarm in synthesized.of_type("AWS::CloudWatch::Alarm").values()
        if alarm.get("Namespace") == METRICS
    }

    assert sum(steps(module) for module in found) == cost.CUSTOM_METRICS_OF_A_STACK
    assert len(of_a_site) == cost.CUSTOM_METRICS_OF_A_SITE
    # Whoever counts something for nobody pays for it, and an alarm on what nobody counts is blind.
    assert of_a_site == watched


def test_every_dashboard_is_in_the_estimate(twelve_sites: Synthesized) -> None:
    """One for all sites of an account and Region."""
    assert len(twelve_sites.of_type("AWS::CloudWatch::Dashboard")) == cost.DASHBOARDS_OF_A_STACK
