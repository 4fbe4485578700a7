"""
Resource types that moto's CloudFormation lacks, made of moto's own backends.

moto skips an unknown type in silence, so a template's bucket policy is never there. A type that is neither
moto's nor here makes the whole stack fail, by name (`correct_cloudformation.py`).
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from moto.awslambda.exceptions import UnknownFunctionException, UnknownPolicyException
from moto.awslambda.models import lambda_backends
from moto.cloudwatch.models import Dimension, Metric, MetricDataQuery, MetricStat, cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.events.models import events_backends
from moto.s3.models import s3_backends
from moto.scheduler.models import scheduler_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends

Properties = dict[str, Any]


class Resource:
    """
    A resource that is made by one call and unmade by another.

    Not a CloudFormationModel itself: moto takes every direct subclass of that for a resource type.
    """

    TYPE: ClassVar[str]
    NAME: ClassVar[str] = ""
    ATTRIBUTES: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str, properties: Properties, account_id: str, region: str) -> None:
        self.name = name
        self.properties = properties
        self.account_id = account_id
        self.region = region

    def put(self) -> None:
        """Make it, or bring it up to date."""

    def remove(self) -> None:
        """Unmake it."""

    @property
    def physical_resource_id(self) -> str:
        return self.name

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.NAME

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.TYPE

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in cls.ATTRIBUTES

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_kwargs: Any
    ) -> Any:
        resource = cls(resource_name, cloudformation_json["Properties"], account_id, region_name)
        resource.put()
        return resource

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        new = cls(new_resource_name, cloudformation_json["Properties"], account_id, region_name)
        original_resource.replaced_by(new)
        new.put()
        return new

    def replaced_by(self, new: "Any") -> None:
        """Remove what the new state doesn't overwrite."""
        if new.physical_resource_id != self.physical_resource_id:
            self.remove()

    def delete(self, _account_id: str, _region: str) -> None:
        self.remove()


class BucketPolicy(Resource, CloudFormationModel):
    TYPE = "AWS::S3::BucketPolicy"

    @property
    def physical_resource_id(self) -> str:
        return str(self.properties["Bucket"])

    def put(self) -> None:
        self._backend().put_bucket_policy(
            self.physical_resource_id, json.dumps(self.properties["PolicyDocument"]).encode()
        )

    def remove(self) -> None:
        if self.physical_resource_id in self._backend().buckets:
            self._backend().delete_bucket_policy(self.physical_resource_id)

    def _backend(self) -> Any:
        return s3_backends[self.account_id]["aws"]


class TopicPolicy(Resource, CloudFormationModel):
    TYPE = "AWS::SNS::TopicPolicy"

    def put(self) -> None:
        backend = sns_backends[self.account_id][self.region]
        for arn in self.properties["Topics"]:
            backend.get_topic(arn).policy = json.dumps(self.properties["PolicyDocument"])


class Subscription(Resource, CloudFormationModel):
    TYPE = "AWS::SNS::Subscription"
    ATTRIBUTES = ("Arn",)

    def put(self) -> None:
        backend = sns_backends[self.account_id][self.region]
        self._subscription = backend.subscribe(
            self.properties["TopicArn"], self.properties["Endpoint"], self.properties["Protocol"]
        )
        if "FilterPolicy" in self.properties:
            backend.set_subscription_attributes(
                self._subscription.arn, "FilterPolicy", json.dumps(self.properties["FilterPolicy"])
            )

    def replaced_by(self, _new: Any) -> None:
        self.remove()

    def remove(self) -> None:
        sns_backends[self.account_id][self.region].unsubscribe(self._subscription.arn)

    @property
    def physical_resource_id(self) -> str:
        return str(self._subscription.arn)

    def get_cfn_attribute(self, _attribute_name: str) -> str:
        return self.physical_resource_id


class QueuePolicy(Resource, CloudFormationModel):
    TYPE = "AWS::SQS::QueuePolicy"

    def put(self) -> None:
        backend = sqs_backends[self.account_id][self.region]
        for url in self.properties["Queues"]:
            name = str(url).rsplit("/", 1)[-1]
            backend.set_queue_attributes(name, {"Policy": json.dumps(self.properties["PolicyDocument"])})


class EventBusPolicy(Resource, CloudFormationModel):
    TYPE = "AWS::Events::EventBusPolicy"

    def put(self) -> None:
        backend = events_backends[self.account_id][self.region]
        bus = backend.describe_event_bus(self.properties.get("EventBusName", "default"))
        if "Statement" not in self.properties:
            raise NotImplementedError("the sandbox takes a bus policy's Statement, not its older properties")
        statement = {**self.properties["Statement"], "Sid": self.properties["StatementId"]}
        bus.add_policy({"Version": "2012-10-17", "Statement": [statement]})

    def replaced_by(self, _new: Any) -> None:
        self.remove()

    def remove(self) -> None:
        backend = events_backends[self.account_id][self.region]
        bus = backend.describe_event_bus(self.properties.get("EventBusName", "default"))
        bus._statements.pop(self.properties["StatementId"], None)


class Schedule(Resource, CloudFormationModel):
    TYPE = "AWS::Scheduler::Schedule"
    NAME = "Name"
    ATTRIBUTES = ("Arn",)

    def put(self) -> None:
        backend: Any = scheduler_backends[self.account_id][self.region]
        group = self.properties.get("GroupName", "default")
        existing = self.name in backend.schedule_groups[group].schedules
        (backend.update_schedule if existing else backend.create_schedule)(
            description=self.properties.get("Description"),
            group_name=group,
            name=self.name,
            start_date=self.properties.get("StartDate"),
            end_date=self.properties.get("EndDate"),
            flexible_time_window=self.properties["FlexibleTimeWindow"],
            kms_key_arn=self.properties.get("KmsKeyArn"),
            schedule_expression=self.properties["ScheduleExpression"],
            schedule_expression_timezone=self.properties.get("ScheduleExpressionTimezone", "UTC"),
            state=self.properties.get("State", "ENABLED"),
            target=self.properties["Target"],
            **({} if existing else {"action_after_completion": None}),
        )

    def remove(self) -> None:
        backend = scheduler_backends[self.account_id][self.region]
        backend.delete_schedule(self.properties.get("GroupName", "default"), self.name)

    def get_cfn_attribute(self, _attribute_name: str) -> str:
        group = self.properties.get("GroupName", "default")
        return f"arn:aws:scheduler:{self.region}:{self.account_id}:schedule/{group}/{self.name}"


class Secret(Resource, CloudFormationModel):
    """A secret whose text the template gives, by reference; AWS could also make one up."""

    TYPE = "AWS::SecretsManager::Secret"
    NAME = "Name"

    def put(self) -> None:
        backend = secretsmanager_backends[self.account_id][self.region]
        text, description = self.properties["SecretString"], self.properties.get("Description")
        if self.name in backend.secrets:
            backend.update_secret(self.name, secret_string=text, description=description)
        else:
            backend.create_secret(
                self.name,
                secret_string=text,
                secret_binary=None,
                description=description,
                tags=None,
                kms_key_id=self.properties.get("KmsKeyId"),
                client_request_token=None,
                replica_regions=[],
                force_overwrite=False,
            )
        self._arn = str(backend.secrets[self.name].arn)

    def remove(self) -> None:
        backend = secretsmanager_backends[self.account_id][self.region]
        backend.delete_secret(self._arn, recovery_window_in_days=30, force_delete_without_recovery=False)

    @property
    def physical_resource_id(self) -> str:
        return self._arn


class Alarm(Resource, CloudFormationModel):
    TYPE = "AWS::CloudWatch::Alarm"
    NAME = "AlarmName"
    ATTRIBUTES = ("Arn",)

    def put(self) -> None:
        given = self.properties
        backend: Any = cloudwatch_backends[self.account_id][self.region]
        backend.put_metric_alarm(
            name=self.name,
            namespace=given.get("Namespace"),
            metric_name=given.get("MetricName"),
            comparison_operator=given["ComparisonOperator"],
            evaluation_periods=int(given["EvaluationPeriods"]),
            period=int(given["Period"]) if "Period" in given else None,
            threshold=float(given["Threshold"]) if "Threshold" in given else None,
            statistic=given.get("Statistic"),
            description=given.get("AlarmDescription"),
            dimensions=given.get("Dimensions", []),
            alarm_actions=given.get("AlarmActions", []),
            ok_actions=given.get("OKActions", []),
            insufficient_data_actions=given.get("InsufficientDataActions", []),
            datapoints_to_alarm=(int(given["DatapointsToAlarm"]) if "DatapointsToAlarm" in given else None),
            metric_data_queries=[_query(item) for item in given.get("Metrics", [])] or None,
            treat_missing_data=given.get("TreatMissingData"),
        )

    def remove(self) -> None:
        cloudwatch_backends[self.account_id][self.region].delete_alarms([self.name])

    def get_cfn_attribute(self, _attribute_name: str) -> str:
        return f"arn:aws:cloudwatch:{self.region}:{self.account_id}:alarm:{self.name}"


def _query(item: Mapping[str, Any]) -> MetricDataQuery:
    """Read one metric of an alarm that reckons with several."""
    stat = item.get("MetricStat")
    # moto's types forbid what its answers need: an expression has no period.
    made: Any = MetricDataQuery
    query: MetricDataQuery = made(
        query_id=item["Id"],
        label=item.get("Label"),
        period=item.get("Period"),
        return_data=item.get("ReturnData", True),
        expression=item.get("Expression"),
        metric_stat=None
        if stat is None
        else MetricStat(
            metric=Metric(
                metric_name=stat["Metric"]["MetricName"],
                namespace=stat["Metric"]["Namespace"],
                dimensions=[
                    Dimension(one["Name"], one["Value"]) for one in stat["Metric"].get("Dimensions", [])
                ],
            ),
            period=stat["Period"],
            stat=stat["Stat"],
            unit=stat.get("Unit"),
        ),
    )
    return query


class Document(Resource, CloudFormationModel):
    """moto's has one too, but it keeps what isn't JSON, and an update deletes the document."""

    TYPE = "AWS::SSM::Document"
    NAME = "Name"

    def put(self) -> None:
        backend: Any = ssm_backends[self.account_id][self.region]
        content = json.dumps(self.properties["Content"])
        if self.name not in backend._documents:
            backend.create_document(
                content=content,
                requires=None,
                attachments=None,
                name=self.name,
                version_name=None,
                document_type=self.properties["DocumentType"],
                document_format=self.properties.get("DocumentFormat", "JSON"),
                target_type=None,
                tags=None,
            )
            return
        if self.properties.get("UpdateMethod") != "NewVersion":
            raise NotImplementedError("the sandbox can't replace a document under its name")
        description = backend.update_document(
            content=content,
            attachments=[],
            name=self.name,
            version_name=None,
            document_version="$LATEST",
            document_format=self.properties.get("DocumentFormat", "JSON"),
            target_type=None,
        )
        backend.update_document_default_version(self.name, description["DocumentVersion"])

    def remove(self) -> None:
        ssm_backends[self.account_id][self.region].delete_document(
            name=self.name, document_version="", version_name="", force=True
        )


class CdkMetadata(Resource, CloudFormationModel):
    """What the CDK tells AWS of itself; nothing to make."""

    TYPE = "AWS::CDK::Metadata"


class Permission(Resource, CloudFormationModel):
    """
    moto's has one too, but its statement keeps the function's name in it, and it can't be changed or
    removed.
    """

    TYPE = "AWS::Lambda::Permission"

    def put(self) -> None:
        given = {key: value for key, value in self.properties.items() if key != "FunctionName"}
        self._policy().add_statement(json.dumps({**given, "StatementId": self.name}))

    def replaced_by(self, _new: Any) -> None:
        self.remove()

    def remove(self) -> None:
        # The function, and its policy with it, may be gone already.
        with contextlib.suppress(UnknownFunctionException, UnknownPolicyException):
            self._policy().del_statement(self.name)

    def _policy(self) -> Any:
        function = lambda_backends[self.account_id][self.region].get_function(self.properties["FunctionName"])
        return function.policy


class BucketDeployment(Resource, CloudFormationModel):
    """
    The CDK's own custom resource that copies objects between buckets; its function needs the AWS CLI, so
    it is done here. Objects stay when the resource goes, unless it says otherwise.
    """

    TYPE = "Custom::CDKBucketDeployment"

    def put(self) -> None:
        given = self.properties
        if any(str(given.get(name, "true")).lower() == "true" for name in ("Extract", "Prune")):
            raise NotImplementedError("the sandbox copies objects as they are, and removes none")
        destination = str(given["DestinationBucketName"])
        prefix = str(given.get("DestinationBucketKeyPrefix") or "").strip("/")
        for bucket, key in zip(given["SourceBucketNames"], given["SourceObjectKeys"], strict=True):
            found = s3_backends[self.account_id]["aws"].get_object(bucket, key)
            if found is None:
                raise LookupError(f"there is no object {key} in {bucket}")
            name = "/".join(part for part in (prefix, str(key).rsplit("/", 1)[-1]) if part)
            s3_backends[self.account_id]["aws"].put_object(destination, name, found.value)

    def replaced_by(self, _new: Any) -> None:
        """What was copied stays."""


TYPES = (
    Alarm,
    BucketDeployment,
    BucketPolicy,
    CdkMetadata,
    EventBusPolicy,
    QueuePolicy,
    Schedule,
    Secret,
    Subscription,
    TopicPolicy,
)
"""Types that moto lacks."""

BETTER_TYPES = (Document, Permission)
"""Types that take the place of moto's own: the class that is defined last wins."""
