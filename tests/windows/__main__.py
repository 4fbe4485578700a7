"""
python -m tests.windows test [ARGUMENTS]      run tests/windows on a Windows Python; ARGUMENTS are pytest's
python -m tests.windows python ARGUMENTS      run the Windows Python
"""

import sys

assert sys.platform != "win32"  # Wine is for Linux; so mypy knows it, too.

import json
import signal
import time

from sandbox.aws import EmbeddedAws, EmbeddedAwsOptions
from sandbox.certificates import SandboxCa
from tests.client.stand_in_vbr import stand_in_vbr
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3
from tests.windows.rig import ROOT, Rig, RigError, windows_path

SECONDS = 900.0
"""After this the tests hang; on a machine that does nothing else they take two to three minutes."""


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    match arguments:
        case ["test", *more]:
            run = _test
        case ["python", *more]:
            run = _python
        case _:
            print((__doc__ or "").strip(), file=sys.stderr)
            return 2
    # A plain `kill` must clean up, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begin = time.monotonic()
    try:
        with Rig() as rig:
            code = run(rig, more)
    except RigError as error:
        print(f"test-windows: {error}", file=sys.stderr)
        return 1
    print(f"after {time.monotonic() - begin:.0f} s nothing is left running", flush=True)
    return code


def _test(rig: Rig, more: list[str]) -> int:
    ca = SandboxCa(rig.drive / "ca")
    with (
        EmbeddedAws(EmbeddedAwsOptions(state=rig.drive / "aws"), authority=ca) as aws,
        stand_in_vbr(rig.drive / "vbr", ca, InMemoryS3()) as vbr,
    ):
        outside = {
            "ca_file": windows_path(ca.file),
            "aws_url": aws.endpoint_url,
            "aws_proxy": aws.proxy_url,
            "access_key_id": aws.administrator.access_key_id,
            "secret_access_key": aws.administrator.secret_access_key,
            "vbr_url": vbr.url,
            "vbr_user": vbr.user,
            "vbr_password": vbr.password,
            "vbr_requests": windows_path(rig.drive / "vbr" / "requests.jsonl"),
        }
        (rig.drive / "outside.json").write_text(json.dumps(outside))
        # Not the cache: it would be the checkout's. Not the conftest above: it is for Linux.
        arguments = ["-p", "no:cacheprovider", f"--confcutdir={windows_path(ROOT / 'tests' / 'windows')}"]
        where = [] if any("tests/windows" in argument for argument in more) else ["tests/windows"]
        return rig.python(
            ["-m", "pytest", *arguments, *more, *where],
            seconds=SECONDS,
        )


def _python(rig: Rig, more: list[str]) -> int:
    return rig.python(more, seconds=SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
