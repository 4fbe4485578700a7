"""
The work of one run as a plain boto3 script: no lease, no drift, no undo, no adoption.

    provision.py SITE BUCKET CIDR
"""

import json
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

DENIED = "explicit deny in a resource-based policy"


def main(site: str, bucket: str, cidr: str) -> None:
    """Make bucket and endpoint, lock the bucket, prove it, and publish the endpoint's name."""
    ec2: Any = boto3.client("ec2")
    s3: Any = boto3.client("s3")
    ssm: Any = boto3.client("ssm")
    sts: Any = boto3.client("sts")
    account, region = sts.get_caller_identity()["Account"], ec2.meta.region_name
    tagged = [{"Name": "tag:vbr-privatelink", "Values": [site]}]
    vpc = ec2.describe_vpcs(Filters=tagged)["Vpcs"][0]["VpcId"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    subnets = {
        each["AvailabilityZone"]: each["SubnetId"] for each in ec2.describe_subnets(Filters=of_vpc)["Subnets"]
    }

    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": region},
            ObjectOwnership="BucketOwnerEnforced",
        )
        s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )

    found = ec2.describe_vpc_endpoints(
        Filters=[*of_vpc, {"Name": "vpc-endpoint-type", "Values": ["Interface"]}]
    )
    if found["VpcEndpoints"]:
        endpoint = found["VpcEndpoints"][0]
    else:
        group = ec2.create_security_group(GroupName=f"{site}-s3", Description="S3 endpoint", VpcId=vpc)[
            "GroupId"
        ]
        ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": cidr}]}
            ],
        )
        endpoint = ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            VpcId=vpc,
            ServiceName=f"com.amazonaws.{region}.s3",
            SubnetIds=list(subnets.values()),
            SecurityGroupIds=[group],
            PrivateDnsEnabled=False,
            PolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": "*",
                            "Action": "s3:*",
                            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
                        }
                    ],
                }
            ),
        )["VpcEndpoint"]
    while endpoint["State"].lower() != "available":
        time.sleep(1)
        [endpoint] = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])["VpcEndpoints"]
    interfaces = ec2.describe_network_interfaces(NetworkInterfaceIds=endpoint["NetworkInterfaceIds"])
    addresses = [each["PrivateIpAddress"] for each in interfaces["NetworkInterfaces"]]
    name = next(entry["DnsName"] for entry in endpoint["DnsEntries"] if entry["DnsName"].startswith("*."))

    s3.put_bucket_policy(
        Bucket=bucket,
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "DenyObjectAccessOutsideEndpoint",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": f"arn:aws:s3:::{bucket}/*",
                        "Condition": {
                            "StringNotEquals": {"aws:SourceVpce": endpoint["VpcEndpointId"]},
                            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
                        },
                    }
                ],
            }
        ),
    )
    try:
        boto3.client("s3", config=Config(retries={"total_max_attempts": 1})).put_object(
            Bucket=bucket, Key="probe", Body=b"", IfMatch='"0"'
        )
    except ClientError as error:
        if DENIED not in str(error):
            raise
    else:
        raise SystemExit("the bucket is open")

    document = {
        "site": site,
        "account_id": account,
        "vpc_endpoint_id": endpoint["VpcEndpointId"],
        "endpoint_host": name.replace("*", "bucket", 1),
        "endpoint_addresses": addresses,
    }
    ssm.put_parameter(
        Name=f"/rivals/{site}/endpoint", Value=json.dumps(document), Type="String", Overwrite=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
