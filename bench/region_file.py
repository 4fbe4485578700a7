"""The edit of a region file of 1 MB, against lxml parsing and writing the same file."""

import json
import os
from pathlib import Path

from bench.measure import ROUNDS, Row, median, process

ROOT = Path(__file__).resolve().parents[1]
REGION = "ap-northeast-1"
SIZE = 1_000_000
HOST = f"bucket.vpce-0123456789abcdef0-abcd1234.s3.{REGION}.vpce.amazonaws.com"
# Both in one process, which has lxml: in turn, and each with the time of its work alone.
MEASURE = """
import io, json, sys, time
from pathlib import Path
from lxml import etree
from onprem_client.resources.region_xml import with_region_endpoint
xml = Path(sys.argv[1]).read_bytes()
region, host, rounds = sys.argv[2], sys.argv[3], int(sys.argv[4])
def ours():
    assert host.encode() in with_region_endpoint(xml, region=region, host=host)
def theirs():
    target = io.BytesIO()
    etree.parse(io.BytesIO(xml)).write(target, encoding="utf-8", xml_declaration=True)
    assert len(target.getvalue()) > len(xml) / 2
spent = {"ours": [], "theirs": []}
for number in range(rounds + 1):
    for name, action in (("ours", ours), ("theirs", theirs)):
        started = time.perf_counter()
        action()
        if number:
            spent[name].append(time.perf_counter() - started)
print(json.dumps(spent))
"""


def region_file() -> bytes:
    """Return a file of one megabyte in which the region is somewhere in the middle."""
    regions: list[str] = []
    size = 0
    while size < SIZE:
        regions.append(_region(f"xx-east-{len(regions)}"))
        size += len(regions[-1])
    regions.insert(len(regions) // 2, _region(REGION))
    return f'<?xml version="1.0" encoding="utf-8"?>\n<Regions>\n{"".join(regions)}</Regions>\n'.encode()


def measure(folder: Path, *, python: Path, rounds: int = ROUNDS) -> list[Row]:
    """Measure with *python*, an interpreter that has lxml."""
    file = folder / "AmazonS3Regions.xml"
    file.write_bytes(region_file())
    process(
        [python, "-c", MEASURE, file, REGION, HOST, str(rounds)],
        environment={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        folder=folder,
    )
    spent = json.loads((folder / "output.txt").read_text().splitlines()[-1])
    return [
        Row(
            what="edit of a region file of 1 MB",
            against="lxml, parse and write",
            unit="s",
            ours=median(spent["ours"]),
            theirs=median(spent["theirs"]),
            limit=1.0,
            rounds=rounds,
        )
    ]


def _region(name: str) -> str:
    return (
        f'  <Region Id="{name}" Name="A region with a name" Type="Global">\n'
        f'    <Endpoint Type="S3">s3.dualstack.{name}.amazonaws.com</Endpoint>\n'
        f'    <Endpoint Type="S3">s3-{name}.amazonaws.com</Endpoint>\n'
        f'    <Endpoint Type="EC2">ec2.{name}.amazonaws.com</Endpoint>\n'
        f'    <Endpoint Type="Glacier">glacier.{name}.amazonaws.com</Endpoint>\n'
        "  </Region>\n"
    )
