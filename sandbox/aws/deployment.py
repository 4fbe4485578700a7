"""
Bring a synthesized cloud assembly (`cdk.out`) into the embedded AWS, as `cdk deploy` would: assets first,
then the stack.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

FIXED_TIME = (1980, 1, 1, 0, 0, 0)
LARGEST_TEMPLATE_BODY = 51_200
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]


class DeploymentError(Exception):
    """The assembly can't be deployed, or its stack failed."""


class Deployer:
    """Uploads and deploys for one account and region."""

    def __init__(self, *, s3: Any, cloudformation: Any, account_id: str, region: str) -> None:
        self._s3 = s3
        self._cloudformation = cloudformation
        self._account_id = account_id
        self._region = region

    def deploy(
        self, assembly: Path, stack_name: str | None = None, parameters: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Deploy the stack *stack_name* (or the only one) of *assembly* and return its outputs."""
        artifact = self._artifact(assembly, stack_name)
        properties = artifact["properties"]
        name = str(properties.get("stackName") or artifact["name"])
        self._upload_assets(assembly, artifact)
        template = (assembly / properties["templateFile"]).read_text(encoding="utf-8")
        return self.deploy_template(
            name, template, {**properties.get("parameters", {}), **(parameters or {})}
        )

    def deploy_template(
        self, name: str, template: str, parameters: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Create or update one stack and return its outputs."""
        arguments: dict[str, Any] = {
            "StackName": name,
            "Capabilities": CAPABILITIES,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()
            ],
        }
        if len(template.encode()) > LARGEST_TEMPLATE_BODY:
            bucket = f"cdk-hnb659fds-assets-{self._account_id}-{self._region}"
            self._put(bucket, f"{name}.template.json", template.encode())
            arguments["TemplateURL"] = (
                f"https://s3.{self._region}.amazonaws.com/{bucket}/{name}.template.json"
            )
        else:
            arguments["TemplateBody"] = template
        if self._exists(name):
            try:
                self._cloudformation.update_stack(**arguments)
            except ClientError as error:
                if "No updates are to be performed" not in str(error):
                    raise DeploymentError(f"{name}: {error}") from error
        else:
            try:
                self._cloudformation.create_stack(**arguments)
            except ClientError as error:
                raise DeploymentError(f"{name}: {error}") from error
        return self._outputs(name)

    def _artifact(self, assembly: Path, stack_name: str | None) -> dict[str, Any]:
        manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
        stacks = [
            {"name": name, "id": name, **artifact}
            for name, artifact in manifest["artifacts"].items()
            if artifact["type"] == "aws:cloudformation:stack"
        ]
        chosen = [
            stack
            for stack in stacks
            if stack_name
            in (None, stack["id"], stack["properties"].get("stackName"), stack.get("displayName"))
        ]
        if len(chosen) != 1:
            names = ", ".join(str(stack["id"]) for stack in stacks) or "none"
            raise DeploymentError(
                f"{assembly} has the stacks {names}; asked for {stack_name or 'the only one'}"
            )
        return chosen[0]

    def _upload_assets(self, assembly: Path, artifact: Mapping[str, Any]) -> None:
        manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
        for name in artifact.get("dependencies", []):
            dependency = manifest["artifacts"][name]
            if dependency["type"] == "cdk:asset-manifest":
                self._upload_manifest(assembly, assembly / dependency["properties"]["file"])

    def _upload_manifest(self, assembly: Path, file: Path) -> None:
        assets = json.loads(file.read_text(encoding="utf-8"))
        if assets.get("dockerImages"):
            raise DeploymentError(f"{file} has Docker images; the sandbox has no registry for them")
        for asset in assets.get("files", {}).values():
            content = self._content(assembly, asset["source"])
            for destination in asset["destinations"].values():
                self._put(
                    self._filled(destination["bucketName"]), self._filled(destination["objectKey"]), content
                )

    def _content(self, assembly: Path, source: Mapping[str, Any]) -> bytes:
        path = assembly / str(source["path"])
        if source.get("packaging") == "zip":
            return zipped(path)
        return path.read_bytes()

    def _filled(self, text: str) -> str:
        for name, value in (
            ("AWS::AccountId", self._account_id),
            ("AWS::Region", self._region),
            ("AWS::Partition", "aws"),
        ):
            text = text.replace(f"${{{name}}}", value)
        return text

    def _put(self, bucket: str, key: str, content: bytes) -> None:
        try:
            self._s3.head_bucket(Bucket=bucket)
        except ClientError:
            place = (
                {}
                if self._region == "us-east-1"
                else {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
            )
            self._s3.create_bucket(Bucket=bucket, **place)
        self._s3.put_object(Bucket=bucket, Key=key, Body=content)

    def _exists(self, name: str) -> bool:
        try:
            found = self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError:
            return False
        if found["StackStatus"] in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE"):
            # As `cdk deploy` does: a stack that never stood is removed first.
            self._cloudformation.delete_stack(StackName=name)
            return False
        return True

    def _outputs(self, name: str) -> dict[str, str]:
        stack = self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            reasons = "\n".join(self._reasons(name)) or stack.get("StackStatusReason", "no reason given")
            raise DeploymentError(f"the stack {name} is {stack['StackStatus']}:\n{reasons}")
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def _reasons(self, name: str) -> Iterator[str]:
        for event in self._cloudformation.describe_stack_events(StackName=name)["StackEvents"]:
            if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
                yield f"  {event['ResourceStatusReason']}"


def zipped(folder: Path) -> bytes:
    """Return *folder* as a zip; equal content gives equal bytes, so nothing is deployed twice."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_dir() or "__pycache__" in file.parts:
                continue
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), FIXED_TIME)
            entry.external_attr = (0o100755 if file.stat().st_mode & 0o100 else 0o100644) << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()
