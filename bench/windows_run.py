"""
The packaged Windows client's `run` when nothing changed, inside wine, against a bare script that imports
boto3 and gets one parameter on the same Windows Python.
"""

import sys

assert sys.platform != "win32"  # Wine is for Linux; so mypy knows it, too.

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import boto3
import s3transfer

from bench.measure import ROUNDS, Row, median
from sandbox.aws import EmbeddedAws, EmbeddedAwsOptions
from tests.client.server import document
from tests.windows.rig import PYTHON, Rig, windows_path

ROOT = Path(__file__).resolve().parents[1]
PARAMETER = "/vbr-privatelink/tokyo/endpoint"
_SECONDS = 600.0


def measure(*, rounds: int = ROUNDS) -> list[Row]:
    """Measure the newest package in dist; it is built if there is none."""
    package = _package()
    with Rig() as rig, EmbeddedAws(EmbeddedAwsOptions(state=rig.drive / "aws")) as aws:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(rig.drive / "package")
        [program] = (rig.drive / "package").rglob("vbr-privatelink.exe")
        aws.client("ssm").put_parameter(Name=PARAMETER, Value=document(), Type="String")
        _write_files(rig.drive, aws)
        inside = "C:\\" + str(program.relative_to(rig.drive)).replace("/", "\\")
        code, output = rig.run([str(PYTHON), "-m", "bench.in_windows", inside, str(rounds)], seconds=_SECONDS)
    if code != 0:
        raise subprocess.CalledProcessError(code, "bench.in_windows", output)
    taken = json.loads(output.strip().splitlines()[-1])
    return [
        Row(
            what="packaged Windows client's run, nothing changed (wine)",
            against="a bare boto3 script on the same Windows Python",
            unit="s",
            ours=median(taken["ours"]),
            theirs=median(taken["bare"]),
            limit=1.5,
            rounds=rounds,
        )
    ]


def _package() -> Path:
    def newest() -> list[Path]:
        return sorted((ROOT / "dist").glob("*-windows.zip"))

    if not newest():
        subprocess.run(
            [sys.executable, "packaging/dist.py"],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
        )
    return newest()[-1]


def _write_files(drive: Path, aws: EmbeddedAws) -> None:
    keys, ca = aws.administrator, windows_path(aws.ca_file)
    (drive / "aws.toml").write_text(
        f"[aws]\nendpoint_url = '{aws.endpoint_url}'\nca_bundle = '{ca}'\n"
        f"credentials_file = 'credentials'\ns3_proxy = '{aws.proxy_url}'\n"
    )
    (drive / "credentials").write_text(
        f"[default]\naws_access_key_id = {keys.access_key_id}\n"
        f"aws_secret_access_key = {keys.secret_access_key}\n"
    )
    # The Windows machine has what the client needs, and that is not boto3.
    for package in (boto3, s3transfer):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, drive / "bare" / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    (drive / "bare.py").write_text(
        "import sys\n"
        "sys.path.append(r'C:\\bare')\n"
        "import boto3\n"
        f"ssm = boto3.client('ssm', region_name='{aws.options.region}', endpoint_url='{aws.endpoint_url}',\n"
        f"    verify={ca!r}, aws_access_key_id='{keys.access_key_id}',\n"
        f"    aws_secret_access_key='{keys.secret_access_key}')\n"
        f"print(ssm.get_parameter(Name='{PARAMETER}')['Parameter']['Version'])\n"
    )
