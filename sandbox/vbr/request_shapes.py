"""What each request must hold, for each revision."""

from sandbox.vbr.revisions import Revision
from sandbox.vbr.shapes import Anything, Flag, Kind, Number, OneOf, Shape, Text, Uuid, Uuids

REGION_TYPES = ("Global", "China", "Government")
AMAZON_S3 = "AmazonS3"
S3_COMPATIBLE = "S3Compatible"

NEW_SECRET = Shape({"newSecretKey": Text()}, {})
RESCAN = Shape({"repositoryIds": Uuids()}, {})


def credential(revision: Revision) -> Shape:
    unique_id: Kind = Uuid() if revision.unique_id_is_uuid else Text()
    return Shape(
        {"type": OneOf(("Amazon",)), "accessKey": Text(), "secretKey": Text()},
        {"description": Text(may_be_empty=True), revision.unique_id: unique_id},
    )


def job_stop(revision: Revision) -> Shape:
    return Shape(
        {revision.graceful: Flag()}, {"cancelChainedJobs": Flag()} if revision.stops_chained_jobs else {}
    )


def browse(service_type: str) -> Shape:
    if service_type == S3_COMPATIBLE:
        return Shape(
            {
                "credentialsId": Uuid(),
                "serviceType": OneOf((S3_COMPATIBLE,)),
                "servicePoint": Text(),
                "regionId": Text(),
            },
            {"gatewayServerId": Uuid()},
        )
    return Shape(
        {"credentialsId": Uuid(), "serviceType": OneOf((AMAZON_S3,)), "regionType": OneOf(REGION_TYPES)},
        {
            "filters": Shape({}, {"regionId": Text(), "bucketName": Text()}),
            "gatewayServerId": Uuid(),
            "folderType": Text(),
        },
    )


def new_folder(service_type: str) -> Shape:
    required: dict[str, Kind] = {
        "credentialsId": Uuid(),
        "serviceType": OneOf((service_type,)),
        "newFolderName": Text(),
        "regionId": Text(),
        "bucketName": Text(),
    }
    if service_type == S3_COMPATIBLE:
        required["connectionPoint"] = Text()
    else:
        required["regionType"] = OneOf(REGION_TYPES)
    return Shape(required, {"hostId": Uuid()})


def repository(revision: Revision, repository_type: str) -> Shape:
    """Return the shape of an object storage repository, Amazon S3 or S3 compatible."""
    amazon = repository_type == AMAZON_S3
    connection = Shape(
        {"connectionType": OneOf(("Direct", "SelectedGateway"))}, {"gatewayServerIds": Uuids()}
    )
    account: dict[str, Kind] = {"credentialsId": Uuid(), "connectionSettings": connection}
    if amazon:
        account["regionType"] = OneOf(REGION_TYPES)
    else:
        account |= {"servicePoint": Text(), "regionId": Text()}
    bucket: dict[str, Kind] = {"bucketName": Text(), "folderName": Text()}
    bucket_extras: dict[str, Kind] = {
        "immutability": _immutability(revision),
        "storageConsumptionLimit": Anything(),
    }
    if amazon:
        bucket["regionId"] = Text()
        bucket_extras["infrequentAccessStorage"] = Anything()
    required: dict[str, Kind] = {
        "name": Text(),
        "description": Text(may_be_empty=True),
        "type": OneOf((repository_type,)),
        "account": Shape(account, {}),
        "bucket": Shape(bucket, bucket_extras),
    }
    optional: dict[str, Kind] = {
        revision.unique_id: Uuid() if revision.unique_id_is_uuid else Text(),
        revision.task_limit: Flag(),
        "maxTaskCount": Number(1, 1024),
    }
    (required if revision.mount_server_required else optional)["mountServer"] = _mount_server(revision)
    if revision.imports_backups:
        optional |= {"importBackup": Flag(), "importIndex": Flag()}
    if amazon:
        optional["proxyAppliance"] = Anything()
    return Shape(required, optional)


def _immutability(revision: Revision) -> Shape:
    mode: dict[str, Kind] = {"immutabilityMode": Text()} if revision.imports_backups else {}
    return Shape({"isEnabled": Flag()}, {"daysCount": Number(1, 999), **mode})


def _mount_server(revision: Revision) -> Shape:
    one = Shape(
        {"mountServerId": Uuid(), "writeCacheFolder": Text(), "vPowerNFSEnabled": Flag()},
        {"vPowerNFSPortSettings": Anything()},
    )
    if not revision.mount_server_types:
        return one
    return Shape(
        {"mountServerSettingsType": OneOf(revision.mount_server_types)}, {"windows": one, "linux": one}
    )
