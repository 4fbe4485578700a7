"""
CloudFormation: every type that the product's templates use, updates, failures that say why, and assemblies.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import Credentials, DeploymentError, EmbeddedAws
from sandbox.aws.deployment import zipped
from sandbox.aws.testing import finished
from tests.sandbox.aws.templates import function, machine, stack

POWERTOOLS = "/aws/service/powertools/python/arm64/python3.13/3.30.0"


def everything(*, retention: int = 7, parameter: str = "one", pattern: str = "one") -> dict[str, Any]:
    """Return a template with each type once."""
    topic_policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": {"Ref": "Topic"},
            }
        ],
    }
    bucket_policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
                "Condition": {"Bool": {"aws:SecureTransport": False}},
            }
        ],
    }
    resources: dict[str, dict[str, Any]] = {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "of-the-stack"}},
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": bucket_policy},
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "KeySchema": [{"AttributeName": "site", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "site", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            },
        },
        "Parameter": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/of/the/stack", "Type": "String", "Value": parameter},
        },
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {}},
        "TopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": topic_policy},
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {}},
        "QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
                        }
                    ],
                },
            },
        },
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Topic"},
                "Protocol": "sqs",
                "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
            },
        },
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "of-the-stack"}},
        "BusPolicy": {
            "Type": "AWS::Events::EventBusPolicy",
            "Properties": {
                "EventBusName": {"Ref": "Bus"},
                "StatementId": "hub",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
                    "Action": "events:PutEvents",
                    "Resource": {"Fn::GetAtt": ["Bus", "Arn"]},
                },
            },
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventBusName": {"Ref": "Bus"},
                "EventPattern": {"source": [pattern]},
                "Targets": [{"Id": "q", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}],
            },
        },
        "Log": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": "/of/the/stack", "RetentionInDays": retention},
        },
        "Managed": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Roles": [{"Ref": "FnRole"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Action": f"ssm:Get{parameter.title()}", "Resource": "*"}
                    ],
                },
            },
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 1,
                "Namespace": "AWS/States",
                "MetricName": "ExecutionsFailed",
                "Period": 300,
                "Statistic": "Sum",
                "Threshold": 0,
            },
        },
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardBody": '{"widgets": []}'},
        },
        "Schedule": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "ScheduleExpression": "rate(1 day)",
                "Target": {
                    "Arn": {"Fn::GetAtt": ["Machine", "Arn"]},
                    "RoleArn": {"Fn::GetAtt": ["FnRole", "Arn"]},
                },
            },
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Fn"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
            },
        },
        "CDKMetadata": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "-"}, "Condition": "Never"},
    }
    definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    template = stack(
        function("def handler(e, c): return 1", Layers=[{"Ref": "Powertools"}]),
        machine(definition),
        resources,
        outputs={
            "Table": {"Value": {"Fn::GetAtt": ["Table", "Arn"]}},
            "Topic": {"Value": {"Ref": "Topic"}, "Export": {"Name": "of-the-stack"}},
        },
    )
    return {
        **template,
        "Conditions": {"Never": {"Fn::Equals": [{"Ref": "AWS::Region"}, "mars"]}},
        "Parameters": {
            "BootstrapVersion": {
                "Type": "AWS::SSM::Parameter::Value<String>",
                "Default": "/cdk-bootstrap/hnb659fds/version",
            },
            "Powertools": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": POWERTOOLS},
        },
        "Rules": {
            "CheckBootstrapVersion": {
                "Assertions": [
                    {
                        "Assert": {"Fn::Not": [{"Fn::Contains": [["1", "2"], {"Ref": "BootstrapVersion"}]}]},
                        "AssertDescription": "CDK bootstrap stack version 6 required.",
                    }
                ]
            }
        },
    }


def test_every_type_is_made_changed_and_removed(aws: EmbeddedAws) -> None:
    """The bootstrap rule, Powertools' public parameter and a false condition are in it, too."""
    outputs = aws.deploy_template("all", everything())
    again = aws.deploy_template("all", everything())
    changed = aws.deploy_template("all", everything(retention=30, parameter="two", pattern="two"))
    layers = aws.client("lambda").get_function_configuration(FunctionName=outputs["Function"])["Layers"]
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix="/of/the/stack")["logGroups"]
    rules = aws.client("events").list_rules(EventBusName="of-the-stack")["Rules"]
    policy = json.loads(aws.client("s3").get_bucket_policy(Bucket="of-the-stack")["Policy"])
    value = aws.client("ssm").get_parameter(Name="/of/the/stack")["Parameter"]

    assert outputs == again == changed
    assert outputs["Table"].startswith("arn:aws:dynamodb:ap-northeast-1:111122223333:table/all-Table-")
    assert "AWSLambdaPowertoolsPythonV3-python313-arm64" in layers[0]["Arn"]
    assert groups[0]["retentionInDays"] == 30
    assert [json.loads(rule["EventPattern"]) for rule in rules] == [{"source": ["two"]}]
    assert policy["Statement"][0]["Resource"] == "arn:aws:s3:::of-the-stack/*"
    assert (value["Value"], value["Version"]) == ("two", 2)
    aws.client("cloudformation").delete_stack(StackName="all")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        aws.client("ssm").get_parameter(Name="/of/the/stack")


def user_with_keys(*numbers: int) -> dict[str, Any]:
    """A user, and each key in a secret of its own."""
    resources: dict[str, Any] = {"User": {"Type": "AWS::IAM::User"}}
    for number in numbers:
        key = f"Key{number}"
        resources[key] = {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "User"}}}
        resources[f"Secret{number}"] = {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "SecretString": {"Fn::Join": [" ", [{"Ref": key}, {"Fn::GetAtt": [key, "SecretAccessKey"]}]]}
            },
        }
    outputs = {f"Arn{number}": {"Value": {"Ref": f"Secret{number}"}} for number in numbers}
    return {"Resources": resources, "Outputs": outputs}


def test_a_key_goes_into_a_secret_and_is_exchanged_without_a_gap(aws: EmbeddedAws) -> None:
    """Two keys work side by side until the older one leaves the template."""

    def keys(outputs: dict[str, str]) -> dict[str, Credentials]:
        client = aws.client("secretsmanager")
        found = {}
        for name, arn in outputs.items():
            key, secret = client.get_secret_value(SecretId=arn)["SecretString"].split(" ")
            found[name] = Credentials(access_key_id=key, secret_access_key=secret)
        return found

    def works(key: Credentials) -> bool:
        try:
            aws.client("sts", key).get_caller_identity()
        except ClientError:
            return False
        return True

    first = keys(aws.deploy_template("keys", user_with_keys(1)))
    both = keys(aws.deploy_template("keys", user_with_keys(1, 2)))
    beside = [works(key) for key in both.values()]
    second = keys(aws.deploy_template("keys", user_with_keys(2)))

    assert set(both) == {"Arn1", "Arn2"}
    assert both["Arn1"] == first["Arn1"]
    assert both["Arn2"] == second["Arn2"]
    assert beside == [True, True]
    assert works(second["Arn2"])
    assert not works(first["Arn1"])
    aws.client("cloudformation").delete_stack(StackName="keys")
    assert not works(second["Arn2"])


def test_an_unknown_type_is_refused_by_name_before_anything_is_made(aws: EmbeddedAws) -> None:
    """moto skips it with a warning: a template's bucket policy would never be there."""
    template = {
        "Resources": {
            "Parameter": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": "/made/first", "Type": "String", "Value": "v"},
            },
            "Strange": {"Type": "AWS::Strange::Thing", "Properties": {}},
        }
    }
    with pytest.raises(DeploymentError, match="AWS::Strange::Thing"):
        aws.deploy_template("strange", template)

    with pytest.raises(ClientError, match="ParameterNotFound"):
        aws.client("ssm").get_parameter(Name="/made/first")


def test_a_failed_resource_is_named_and_the_stack_rolled_back(aws: EmbeddedAws) -> None:
    """A person must see which resource, and why; and may then try again under the same name."""
    template = {
        "Resources": {
            "First": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": "/rolled/back", "Type": "String", "Value": "v"},
            },
            "Second": {
                "Type": "AWS::SSM::Parameter",
                "DependsOn": ["First"],
                "Properties": {"Name": "/too/long", "Type": "String", "Value": "v" * 5000},
            },
        }
    }
    with pytest.raises(DeploymentError, match=r"Second \(AWS::SSM::Parameter\): Standard tier parameters"):
        aws.deploy_template("failing", template)
    status = aws.client("cloudformation").describe_stacks(StackName="failing")["Stacks"][0]["StackStatus"]
    with pytest.raises(ClientError, match="ParameterNotFound"):
        aws.client("ssm").get_parameter(Name="/rolled/back")
    del template["Resources"]["Second"]
    aws.deploy_template("failing", template)

    assert status == "ROLLBACK_COMPLETE"
    assert aws.client("ssm").get_parameter(Name="/rolled/back")


def test_a_failed_update_says_so(aws: EmbeddedAws) -> None:
    """The stack isn't quietly left between two states."""

    def template(length: int) -> dict[str, Any]:
        value = {"Name": "/update/fails", "Type": "String", "Value": "v" * length}
        return {"Resources": {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": value}}}

    aws.deploy_template("update", template(1))

    with pytest.raises(DeploymentError, match="Standard tier parameters"):
        aws.deploy_template("update", template(5000))


def test_a_missing_parameter_is_named(aws: EmbeddedAws) -> None:
    """A template parameter that Parameter Store must answer."""
    template = {
        "Parameters": {"Absent": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/not/there"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "Absent"}}}},
    }

    with pytest.raises(DeploymentError, match="/not/there"):
        aws.deploy_template("absent-parameter", template)


def assembly(folder: Path, template: dict[str, Any], code: Path) -> Path:
    """Write a cloud assembly as the CDK does: one stack, its template and one zip among the assets."""
    folder.mkdir()
    (folder / "Site.template.json").write_text(json.dumps(template))
    asset = folder / "asset.abc"
    code.rename(asset)
    bucket = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
    files = {
        "abc": {
            "source": {"path": "asset.abc", "packaging": "zip"},
            "destinations": {"here": {"bucketName": bucket, "objectKey": "abc.zip"}},
        },
        "template": {
            "source": {"path": "Site.template.json", "packaging": "file"},
            "destinations": {"here": {"bucketName": bucket, "objectKey": "template.json"}},
        },
    }
    (folder / "Site.assets.json").write_text(json.dumps({"version": "1", "files": files}))
    artifacts = {
        "Site.assets": {"type": "cdk:asset-manifest", "properties": {"file": "Site.assets.json"}},
        "Site": {
            "type": "aws:cloudformation:stack",
            "properties": {"templateFile": "Site.template.json", "stackName": "site-tokyo"},
            "dependencies": ["Site.assets"],
        },
        "Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}},
    }
    (folder / "manifest.json").write_text(json.dumps({"version": "1", "artifacts": artifacts}))
    return folder


def test_an_assembly_is_deployed_with_its_assets(aws: EmbeddedAws, tmp_path: Path) -> None:
    """The function runs what is in the zip, package and all; a large template goes through the bucket."""
    code = tmp_path / "code"
    (code / "steps").mkdir(parents=True)
    (code / "steps" / "__init__.py").write_text("")
    (code / "steps" / "work.py").write_text("from common_part import VALUE\ndef handler(e, c): return VALUE")
    (code / "common_part.py").write_text("VALUE = 'from the asset'")
    resources = function("")
    resources["Fn"]["Properties"] |= {
        "Handler": "steps.work.handler",
        "Code": {
            "S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"},
            "S3Key": "abc.zip",
        },
    }
    definition = {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "FN", "End": True}}}
    template = stack(resources, machine(definition))
    template["Metadata"] = {"Padding": "x" * 60_000}
    outputs = aws.deploy(assembly(tmp_path / "cdk.out", template, code))
    states = aws.client("stepfunctions")
    ended = finished(states, states.start_execution(stateMachineArn=outputs["Machine"])["executionArn"])

    assert json.loads(ended["output"]) == "from the asset"
    stacks = aws.client("cloudformation").describe_stacks(StackName="site-tokyo")["Stacks"]
    assert stacks[0]["StackStatus"] == "CREATE_COMPLETE"


def test_the_stack_is_found_by_name_or_refused(aws: EmbeddedAws, tmp_path: Path) -> None:
    """With its choices."""
    (tmp_path / "code").mkdir()
    folder = assembly(tmp_path / "cdk.out", {"Resources": {}}, tmp_path / "code")

    with pytest.raises(DeploymentError, match="has the stacks Site; asked for Other"):
        aws.deploy(folder, "Other")


def test_equal_folders_make_equal_zips(tmp_path: Path) -> None:
    """Otherwise every deployment would change every function."""
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "b.py").write_text("b")
        (tmp_path / name / "a.py").write_text("a")

    assert zipped(tmp_path / "one") == zipped(tmp_path / "two")


def test_what_can_not_be_removed_keeps_the_stack(aws: EmbeddedAws) -> None:
    """A bucket with something in it; what is marked to stay, stays."""
    template = {
        "Resources": {
            "Full": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "full-bucket"}},
            "Kept": {
                "Type": "AWS::S3::Bucket",
                "DeletionPolicy": "Retain",
                "Properties": {"BucketName": "kept-bucket"},
            },
        }
    }
    aws.deploy_template("removal", template)
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    s3.put_object(Bucket="full-bucket", Key="key", Body=b"")
    with pytest.raises(ClientError, match="Full"):
        cloudformation.delete_stack(StackName="removal")
    status = cloudformation.describe_stacks(StackName="removal")["Stacks"][0]["StackStatus"]
    s3.delete_object(Bucket="full-bucket", Key="key")
    cloudformation.delete_stack(StackName="removal")
    left = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]

    assert status == "DELETE_FAILED"
    assert "kept-bucket" in left
    assert "full-bucket" not in left
