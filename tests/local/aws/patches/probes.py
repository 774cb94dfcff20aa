"""A probe for each patch: true as long as an unpatched MiniStack departs from AWS in what the patch is for."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tests.local.aws.bundles import new_function
from tests.local.aws.hierarchies import eventually
from tests.local.aws.roles import new_role
from tests.local.aws.stacks import delete, deploy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.local.aws.patches.unpatched import Unpatched

NOTHING = [{"Effect": "Deny", "Action": "*", "Resource": "*"}]


def function_python(stock: Unpatched) -> bool:
    """A function finds what its bundle lacks."""
    new_function(stock, "importing", "def handler(event, context):\n    import ministack\n    return 'found'", NOTHING)
    return b"found" in _invoke(stock, "importing")


def function_errors(stock: Unpatched) -> bool:
    """Every exception has the same name."""
    new_function(stock, "raising", "def handler(event, context): raise ValueError('no luck')", NOTHING)
    return b'"ValueError"' not in _invoke(stock, "raising")


def function_sessions(stock: Unpatched) -> bool:
    """A function's session begins with its role's name: told by the key, for its own interpreter has no boto3."""
    code = (
        "import os\n"
        "def handler(event, context):\n"
        "    names = 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'\n"
        "    return [os.environ[name] for name in names]\n"
    )
    new_function(stock, "known", code, NOTHING)
    keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    session = dict(zip(keys, json.loads(_invoke(stock, "known")), strict=True))
    return str(stock.client_with(session, "sts").get_caller_identity()["UserId"]) == "known:known"


def function_code(stock: Unpatched) -> bool:
    """Two functions of the same code have two folders."""
    code = "import os\ndef handler(event, context): return os.path.dirname(os.path.realpath(__file__))"
    for name in ("first", "second"):
        new_function(stock, name, code, NOTHING)
    return _invoke(stock, "first") != _invoke(stock, "second")


def function_dead_letters(stock: Unpatched) -> bool:
    """An envelope lies in the dead-letter queue."""
    url, arn = _queue(stock, "dead")
    code = "def handler(event, context): raise ValueError"
    new_function(stock, "failing", code, [_allowed("sqs:*")], DeadLetterConfig={"TargetArn": arn})
    functions = stock.client("lambda")
    functions.put_function_event_invoke_config(FunctionName="failing", MaximumRetryAttempts=0)
    functions.invoke(FunctionName="failing", InvocationType="Event", Payload=b'{"the": "event"}')
    sqs = stock.client("sqs")
    (letter,) = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"), "a dead letter")
    return bool(json.loads(letter["Body"]) != {"the": "event"})


def loops(stock: Unpatched) -> bool:
    """A function has no trace header, and so no lineage."""
    code = "import os\ndef handler(event, context): return os.environ.get('_X_AMZN_TRACE_ID')"
    new_function(stock, "traced", code, NOTHING)
    return _invoke(stock, "traced") == b"null"


def event_targets(stock: Unpatched) -> bool:
    """A function is invoked whose policy lets nobody in."""
    code = "def handler(event, context): print('invoked')"
    arn = new_function(stock, "uninvited", code, [_allowed("logs:*")])
    events = stock.client("events")
    events.put_rule(Name="rule", EventPattern=json.dumps({"source": ["probe"]}))
    events.put_targets(Rule="rule", Targets=[{"Id": "function", "Arn": arn}])
    events.put_events(Entries=[{"Source": "probe", "DetailType": "probe", "Detail": "{}"}])
    logs = stock.client("logs")

    def lines() -> list[Any]:
        try:
            return list(logs.filter_log_events(logGroupName="/aws/lambda/uninvited")["events"])
        except ClientError:
            return []

    return any("invoked" in line["message"] for line in eventually(lines, "lines of the function"))


def event_source_mappings(stock: Unpatched) -> bool:
    """A mapping is made for a function that may not read the queue."""
    _, arn = _queue(stock, "work")
    new_function(stock, "blind", "def handler(event, context): pass", NOTHING)
    made = stock.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName="blind")
    return "UUID" in made


def queues(stock: Unpatched) -> bool:
    """A delay of 901 seconds is taken."""
    url, _ = _queue(stock, "delayed")
    return "MessageId" in stock.client("sqs").send_message(QueueUrl=url, MessageBody="x", DelaySeconds=901)


def scheduler(stock: Unpatched) -> bool:
    """A schedule is made with a role that does not trust Scheduler."""
    _, arn = _queue(stock, "scheduled")
    role = new_role(stock, "distrustful", NOTHING)
    made = stock.client("scheduler").create_schedule(
        Name="hourly",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role},
    )
    return "ScheduleArn" in made


def secrets_manager(stock: Unpatched) -> bool:
    """A version is overwritten."""
    vault, token = stock.client("secretsmanager"), "a" * 32
    vault.create_secret(Name="overwritten", SecretString="0")
    for value in ("1", "2"):
        vault.put_secret_value(SecretId="overwritten", ClientRequestToken=token, SecretString=value)
    return bool(vault.get_secret_value(SecretId="overwritten", VersionId=token)["SecretString"] == "2")


def secret_versions(stock: Unpatched) -> bool:
    """The first of four versions is gone."""
    vault = stock.client("secretsmanager")
    vault.create_secret(Name="renewed", SecretString="0")
    for value in ("1", "2", "3"):
        vault.put_secret_value(SecretId="renewed", SecretString=value)
    return len(vault.list_secret_version_ids(SecretId="renewed", IncludeDeprecated=True)["Versions"]) < 4


def kms(stock: Unpatched) -> bool:
    """A role without rights on the key reads the secret."""
    key = stock.client("kms").create_key()["KeyMetadata"]["Arn"]
    stock.client("secretsmanager").create_secret(Name="encrypted", SecretString="open", KmsKeyId=key)
    role = new_role(stock, "keyless", [_allowed("secretsmanager:*")])
    reader = stock.client_as(role, "secretsmanager")
    return bool(reader.get_secret_value(SecretId="encrypted")["SecretString"] == "open")


def ciphertexts(stock: Unpatched) -> bool:
    """A ciphertext whose last bit was changed opens as another text."""
    client = stock.client("kms")
    key = client.create_key()["KeyMetadata"]["Arn"]
    closed = client.encrypt(KeyId=key, Plaintext=b"open")["CiphertextBlob"]
    changed = closed[:-1] + bytes([closed[-1] ^ 1])
    return bool(client.decrypt(CiphertextBlob=changed)["Plaintext"] != b"open")


def log_filters(stock: Unpatched) -> bool:
    """A condition matches every line."""
    _write(stock, "filtered", json.dumps({"level": "info"}))
    found = stock.client("logs").filter_log_events(logGroupName="filtered", filterPattern='{ $.level = "error" }')
    return bool(found["events"])


def cloudwatch_log_streams(stock: Unpatched) -> bool:
    """Lines of all streams are found, whatever prefix was asked for."""
    _write(stock, "prefixed", "a line")
    found = stock.client("logs").filter_log_events(logGroupName="prefixed", logStreamNamePrefix="no-such")
    return bool(found["events"])


def log_rights(stock: Unpatched) -> bool:
    """A policy that ends in ``:*`` allows nothing."""
    _write(stock, "readable", "a line")
    arn = f"arn:aws:logs:{stock.config.region}:{stock.config.account}:log-group:readable:*"
    role = new_role(stock, "reading", [{"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": arn}])
    try:
        stock.client_as(role, "logs").filter_log_events(logGroupName="readable")
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "AccessDeniedException")
    return False


def registry(stock: Unpatched) -> bool:
    """An image that is not there is described."""
    ecr = stock.client("ecr")
    ecr.create_repository(repositoryName="empty")
    return not ecr.describe_images(repositoryName="empty", imageIds=[{"imageTag": "none"}])["imageDetails"]


def sizes(stock: Unpatched) -> bool:
    """A task definition of more than 64 KB is registered."""
    container = {"name": "app", "image": "app", "command": ["x" * 65_536]}
    made = stock.client("ecs").register_task_definition(family="large", containerDefinitions=[container])
    return bool(made["taskDefinition"]["revision"])


def cloudformation_network(stock: Unpatched) -> bool:
    """A template with an address is refused."""
    try:
        return deploy(stock, "network", {"Address": {"Type": "AWS::EC2::EIP"}}) != "CREATE_COMPLETE"
    except ClientError as error:
        return "AWS::EC2::EIP" in str(error)


def cloudformation_secrets(stock: Unpatched) -> bool:
    """``Ref`` of a secret is its name."""
    deploy(stock, "secret", {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "referred"}}})
    resources = stock.client("cloudformation").describe_stack_resources(StackName="secret")["StackResources"]
    return bool(resources[0]["PhysicalResourceId"] == "referred")


def cloudformation_taken_names(stock: Unpatched) -> bool:
    """A stack takes over a secret that was there."""
    stock.client("secretsmanager").create_secret(Name="taken", SecretString="mine")
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "taken", "SecretString": "theirs"}}
    return deploy(stock, "taking", {"Secret": secret}) == "CREATE_COMPLETE"


def cloudformation_replacements(stock: Unpatched) -> bool:
    """An update that drops a Cloud Map service's custom health succeeds."""
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}
    named = {"Name": "probe.local", "Vpc": {"Ref": "Vpc"}}
    namespace = {"Type": "AWS::ServiceDiscovery::PrivateDnsNamespace", "Properties": named}
    service: dict[str, Any] = {"Name": "teller", "NamespaceId": {"Ref": "Namespace"}}
    status = ""
    for health in ({"HealthCheckCustomConfig": {"FailureThreshold": 1}}, {}):
        teller = {"Type": "AWS::ServiceDiscovery::Service", "Properties": {**service, **health}}
        status = deploy(stock, "map", {"Vpc": vpc, "Namespace": namespace, "Teller": teller})
    return status == "UPDATE_COMPLETE"


def cloudformation_exports(stock: Unpatched) -> bool:
    """An update drops what another stack imports."""
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::ImportValue": "Exported"}}}
    deploy(stock, "exporting", {"It": handle}, exports={"Exported": "probe"})
    deploy(stock, "importing", {"It": group})
    return deploy(stock, "exporting", {"It": handle, "More": handle}) == "UPDATE_COMPLETE"


def cloudformation_security_groups(stock: Unpatched) -> bool:
    """A rule is authorized twice, and a group goes that a rule of another names."""
    ec2 = stock.client("ec2")
    group = ec2.create_security_group(GroupName="twice", Description="twice")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
    made = [ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])["Return"] for _ in range(2)]
    caller = ec2.create_security_group(GroupName="caller", Description="caller")["GroupId"]
    pair = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": caller}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[pair])
    return all(made) and bool(ec2.delete_security_group(GroupId=caller)["Return"])


def cloudformation_buckets(stock: Unpatched) -> bool:
    """A bucket goes with the object in it."""
    deploy(stock, "bucket", {"It": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "probe-bucket"}}})
    stock.client("s3").put_object(Bucket="probe-bucket", Key="kept", Body=b"")
    return delete(stock, "bucket") == "DELETE_COMPLETE"


def cloudformation_dropped_properties(stock: Unpatched) -> bool:
    """A table's expiry is forgotten."""
    table = {
        "TableName": "expiring",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": True},
    }
    deploy(stock, "table", {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": table}})
    described = stock.client("dynamodb").describe_time_to_live(TableName="expiring")
    return bool(described["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED")


def cloudwatch_embedded_metrics(stock: Unpatched) -> bool:
    """A metric in a line stays a line."""
    directive = {"Namespace": "embedded", "Dimensions": [[]], "Metrics": [{"Name": "n"}]}
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    _write(stock, "measured", json.dumps({"_aws": metadata, "n": 1}))
    return not stock.client("cloudwatch").list_metrics(Namespace="embedded")["Metrics"]


def cloudwatch_alarms(stock: Unpatched) -> bool:
    """Another dimension's metric raises an alarm."""
    cloudwatch = stock.client("cloudwatch")
    _new_alarm(stock, "mixed", Dimensions=[{"Name": "mesh", "Value": "one"}])
    other = {"MetricName": "mixed", "Dimensions": [{"Name": "mesh", "Value": "two"}], "Value": 1}
    cloudwatch.put_metric_data(Namespace="probe", MetricData=[other])
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["mixed"])["MetricAlarms"]
    return bool(alarm["StateValue"] == "ALARM")


def cloudwatch_alarm_actions(stock: Unpatched) -> bool:
    """The history tells of no action."""
    topic = stock.client("sns").create_topic(Name="told")["TopicArn"]
    cloudwatch = stock.client("cloudwatch")
    _new_alarm(stock, "telling", AlarmActions=[topic])
    cloudwatch.set_alarm_state(AlarmName="telling", StateValue="ALARM", StateReason="probe")
    history = cloudwatch.describe_alarm_history(AlarmName="telling")["AlarmHistoryItems"]
    return bool(history) and all(item["HistoryItemType"] != "Action" for item in history)


STILL_NEEDED: dict[str, Callable[[Unpatched], bool]] = {
    "ciphertexts": ciphertexts,
    "cloudformation/buckets": cloudformation_buckets,
    "cloudformation/dropped_properties": cloudformation_dropped_properties,
    "cloudformation/exports": cloudformation_exports,
    "cloudformation/network": cloudformation_network,
    "cloudformation/replacements": cloudformation_replacements,
    "cloudformation/secrets": cloudformation_secrets,
    "cloudformation/security_groups": cloudformation_security_groups,
    "cloudformation/taken_names": cloudformation_taken_names,
    "cloudwatch/alarm_actions": cloudwatch_alarm_actions,
    "cloudwatch/alarm_state": cloudwatch_alarms,
    "cloudwatch/alarms": cloudwatch_alarms,
    "cloudwatch/embedded_metrics": cloudwatch_embedded_metrics,
    "cloudwatch/log_streams": cloudwatch_log_streams,
    "event_source_mappings": event_source_mappings,
    "event_targets": event_targets,
    "functions/code": function_code,
    "functions/dead_letters": function_dead_letters,
    "functions/errors": function_errors,
    "functions/python": function_python,
    "functions/sessions": function_sessions,
    "kms": kms,
    "log_filters": log_filters,
    "log_rights": log_rights,
    "loops": loops,
    "queues": queues,
    "registry": registry,
    "scheduler": scheduler,
    "secret_versions": secret_versions,
    "secrets_manager": secrets_manager,
    "sizes": sizes,
}


def _invoke(stock: Unpatched, name: str) -> bytes:
    payload: bytes = stock.client("lambda").invoke(FunctionName=name, Payload=b"{}")["Payload"].read()
    return payload


def _queue(stock: Unpatched, name: str) -> tuple[str, str]:
    sqs = stock.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def _write(stock: Unpatched, group: str, line: str) -> None:
    logs = stock.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    event = {"timestamp": int(time.time() * 1000), "message": line}
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=[event])


def _new_alarm(stock: Unpatched, name: str, **more: Any) -> None:
    arguments = {
        "AlarmName": name,
        "Namespace": "probe",
        "MetricName": name,
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        **more,
    }
    stock.client("cloudwatch").put_metric_alarm(**arguments)


def _allowed(action: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*"}
