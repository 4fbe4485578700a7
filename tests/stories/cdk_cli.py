"""The CDK's own command line, as people call it, on an embedded AWS of its own."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sandbox.aws import EmbeddedAws, EmbeddedAwsOptions
from tests.conftest import ROOT

PROGRAM = ROOT / "tests" / "node" / "node_modules" / "aws-cdk" / "bin" / "cdk"


class CdkCli:
    """Calls `cdk` as the administrator; nothing of this process's environment but PATH reaches it."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self._folder = folder
        administrator = aws.administrator
        self._environment = {
            "PATH": os.environ["PATH"],
            # The CLI puts bucket names before the host for change sets, which an address can't have.
            "AWS_ENDPOINT_URL": aws.endpoint_url.replace("127.0.0.1", "localhost"),
            "AWS_CA_BUNDLE": str(aws.ca_file),
            "AWS_ACCESS_KEY_ID": administrator.access_key_id,
            "AWS_SECRET_ACCESS_KEY": administrator.secret_access_key,
            "AWS_REGION": aws.options.region,
            # It remembers whose account a key is; another emulator may have other accounts.
            "CDK_HOME": str(folder / "cdk-home"),
            "HOME": str(folder),
        }

    def __call__(self, assembly: Path, *words: str) -> str:
        """Call it on a synthesized app; return what it printed, or fail with it."""
        command = ["node", str(PROGRAM), "--app", str(assembly), "--no-notices", "--ci", *words]
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        output = done.stdout + done.stderr

        assert done.returncode == 0, output
        return output


@contextlib.contextmanager
def cdk_on_embedded_aws(folder: Path) -> Iterator[tuple[CdkCli, EmbeddedAws]]:
    """Run an embedded AWS that nobody has bootstrapped, and give the CLI for it."""
    options = EmbeddedAwsOptions(state=folder / "aws", pending_seconds=0.3, bootstrapped=False)
    with EmbeddedAws(options) as aws:
        yield CdkCli(aws, folder), aws
