"""Synth itself: offline, reproducible, and it fails when somebody forgets to explain an exception."""

import subprocess
import sys
from pathlib import Path

from tests.stacks.synthesized import ROOT, STACK, Synthesized, synthesize

# Builds the app of app.py, but nobody explains the wildcards of the network statements.
UNEXPLAINED = """
import runpy
from stacks.policies import network
network.explained_wildcards = lambda *_arguments: {}
runpy.run_path("app.py")
"""


def test_synth_needs_neither_network_nor_account(synthesized: Synthesized) -> None:
    """The fixture's environment has a closed proxy, no credentials, no Region and no home."""
    assert synthesized.template_file.stat().st_size > 10_000


def test_two_machines_synthesize_the_same_template(synthesized: Synthesized, tmp_path: Path) -> None:
    """Another hash seed, time zone, language, account in the environment: not one byte differs."""
    answer = synthesize(
        tmp_path / "cdk.out",
        environment={
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_SECRET_ACCESS_KEY": "somebody",
            "CDK_DEFAULT_ACCOUNT": "444455556666",
            "CDK_DEFAULT_REGION": "us-east-1",
            "LANG": "ja_JP.UTF-8",
            "PYTHONHASHSEED": "1",
            "TZ": "Asia/Tokyo",
        },
    )

    assert answer.returncode == 0, answer.stderr
    again = Synthesized(tmp_path / "cdk.out")
    assert again.template_file.read_bytes() == synthesized.template_file.read_bytes()


def test_an_unexplained_exception_fails_synth(tmp_path: Path) -> None:
    """cdk-nag that only prints would be read by nobody."""
    answer = synthesize(tmp_path / "cdk.out", program=UNEXPLAINED)

    assert answer.returncode != 0
    assert "AwsSolutions-IAM5" in answer.stdout + answer.stderr


def test_cfn_lint_finds_nothing(synthesized: Synthesized) -> None:
    """CloudFormation would find it in the middle of a deployment."""
    answer = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--", synthesized.template_file],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (answer.returncode, answer.stdout) == (0, ""), answer.stderr


def test_the_template_fits_cloudformation(synthesized: Synthesized) -> None:
    """1 MB by URL; and nothing of the machine that synthesized it is in it."""
    text = synthesized.template_file.read_text()

    assert len(text) < 1_000_000
    assert str(ROOT) not in text
    assert str(Path.home()) not in text
    assert [path.name for path in synthesized.folder.glob("*.template.json")] == [f"{STACK}.template.json"]
