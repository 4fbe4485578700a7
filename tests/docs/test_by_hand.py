"""From the README to a provisioned site and an adopted client: the commands of both, as they stand."""

import re
from pathlib import Path

import pytest

from generate import recording
from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT


def test_the_readmes_lead_to_a_provisioned_site_and_an_adopted_client(assembly: Path, tmp_path: Path) -> None:
    """Somebody who knows neither the code nor the design types these first."""
    commands = recording.by_hand(ROOT / "README.md")
    options = SandboxOptions(state=tmp_path / "state", root=ROOT, pending_seconds=0.5, assembly=assembly)
    with Sandbox(options) as sandbox:
        said = {command: recording.run(command, sandbox.state) for command in commands}
        document = sandbox.aws.client("ssm").get_parameter(Name="/vbr-privatelink/tokyo/adoption/vbr01")
        regions = (sandbox.vbr.install_dir / "AmazonS3Regions.xml").read_text(encoding="utf-8")

    provision, plan, apply, show = said.values()
    assert "the site is: enforced" in provision
    assert "AmazonS3Regions.xml" in plan
    assert apply.rstrip().endswith("the service runs")
    assert "server      vbr01: adopted" in show
    assert '"outcome":"adopted"' in document["Parameter"]["Value"]
    assert ">bucket.vpce-" in regions
    assert recording.by_hand(ROOT / "README.ja.md") == commands


def test_the_recorded_picture_shows_these_commands() -> None:
    """A picture of commands that are no longer there misleads; and it must not load anything."""
    picture = recording.PICTURE.read_text(encoding="utf-8").replace("&#160;", " ")

    for command in recording.by_hand(ROOT / "README.md"):
        assert f"$ {command}" in picture
    # The namespace, and the maker of the frame, are named and not loaded.
    assert set(re.findall(r"https?://[a-z0-9.]+", picture)) <= {
        "http://www.w3.org",
        "https://www.textualize.io",
    }
    assert "url(http" not in picture


def test_a_page_without_such_commands_is_an_error(tmp_path: Path) -> None:
    """A search that finds nothing must not look green."""
    page = tmp_path / "README.md"
    page.write_text("```console\n$ make demo\n```\n")

    with pytest.raises(ValueError, match="no commands for a sandbox"):
        recording.by_hand(page)
