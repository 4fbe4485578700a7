"""The manual procedure, as an administrator would do it with an editor."""

import json
import re
from pathlib import Path

from sandbox.vbr.regions import FILE_NAME, RegionList
from sandbox.vbr.registry import KEY
from tests.sandbox.vbr.vbr_client import REGION, VbrClient

ENDPOINT = "bucket.vpce-0a1b2c3d-4e5f6a7b.s3.ap-northeast-1.vpce.amazonaws.com"


def regions_file(client: VbrClient) -> Path:
    return client.vbr.install_dir / FILE_NAME


def endpoints(client: VbrClient) -> tuple[str, ...]:
    """Read the S3 endpoints that the file names for the region of the tests."""
    region = RegionList.parse(regions_file(client).read_bytes()).find(REGION)
    assert region is not None
    return region.endpoints


def set_registry_value(client: VbrClient, value: object = 1, kind: str = "REG_DWORD") -> None:
    file = client.vbr.folder / "registry.json"
    document = json.loads(file.read_text())
    document[KEY]["CloudRegionsDisableUpdate"] = {"type": kind, "value": value}
    file.write_text(json.dumps(document))


def edit_regions(client: VbrClient, *, leave: int = 0) -> None:
    """Put the endpoint into the region's place; *leave* public endpoints stay beside it."""
    text = regions_file(client).read_bytes().decode("utf-8-sig")
    start = text.index(f'<Region Id="{REGION}"')
    end = text.index("</Region>", start)
    region = text[start:end]
    public = re.findall(r'<Endpoint Type="S3">[^<]*</Endpoint>', region)
    for element in public[leave:]:
        region = region.replace(element, "")
    region += f'<Endpoint Type="S3">{ENDPOINT}</Endpoint>\r\n'
    regions_file(client).write_bytes((text[:start] + region + text[end:]).encode("utf-8-sig"))
