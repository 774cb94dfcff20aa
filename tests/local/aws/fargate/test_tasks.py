"""One ECS task of the local AWS: its environment, its role, its containers' order, its end."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from awscrt.auth import AwsCredentialsProvider
from botocore.exceptions import ClientError

from local.aws.fargate.containers import sandbox
from local.aws.fargate.containers.definitions import ContainerDefinition
from local.aws.fargate.tasks import parts
from local.running_aws import LocalAws
from tests.local.aws.hierarchies import eventually
from tests.local.aws.roles import new_role
from tests.local.aws.running_tasks import (
    PORT,
    RunningTask,
    build_image,
    container,
    get,
    health_check,
    processes_with,
    register,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCAL_SETTINGS = {
    "MESHCERT_LISTEN_ADDRESS",
    "MESHCERT_REQUESTS_SEEN",
    "MESHCERT_LOOPBACK_ADDRESS",
    "MESHCERT_DNS_RESOLVER",
    "AWS_ENDPOINT_URL",
}
FARGATE_SETTINGS = {
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_REGION",
    "ECS_CONTAINER_METADATA_URI_V4",
    "HOME",
    "HOSTNAME",
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS with the tests' image."""
    folder = tmp_path_factory.mktemp("tasks")
    with LocalAws(folder / "aws", images=folder / "images") as local_aws:
        build_image(local_aws, folder / "context")
        yield local_aws


@pytest.fixture(scope="module")
def role(aws: LocalAws) -> str:
    """A task role that may read one of two secrets."""
    secrets = aws.client("secretsmanager")
    mine = secrets.create_secret(Name="mine", SecretString="my secret")["ARN"]
    secrets.create_secret(Name="theirs", SecretString="their secret")
    return new_role(aws, "task", [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": mine}])


@pytest.fixture(scope="module")
def task(aws: LocalAws, role: str) -> RunningTask:
    """A task with a role, a tmpfs, a read-only root and a health check."""
    tmpfs = {"containerPath": "/run/meshcert", "size": 8, "mountOptions": ["mode=0700", "uid=1337"]}
    app = container(
        environment=[{"name": "COLOR", "value": "yellow"}],
        readonlyRootFilesystem=True,
        linuxParameters={"tmpfs": [tmpfs]},
        healthCheck=health_check(),
    )
    return RunningTask.start(aws, register(aws, "whole", app, role=role))


def test_a_containers_environment_is_its_own_and_holds_no_key(task: RunningTask) -> None:
    """Image, definition, Fargate's settings and the local ones; nothing inherited, no access key."""
    variables = task.environment()

    assert set(variables) - {"LC_CTYPE"} == {"COLOR", "PATH", *LOCAL_SETTINGS, *FARGATE_SETTINGS}
    assert {variables["MESHCERT_LISTEN_ADDRESS"], variables["MESHCERT_LOOPBACK_ADDRESS"]} == {task.address}
    config = task.aws.config
    assert variables["MESHCERT_DNS_RESOLVER"] == f"{config.host}:{config.dns_port}"
    assert variables["AWS_ENDPOINT_URL"] == config.endpoint
    assert variables["MESHCERT_REQUESTS_SEEN"] == str(task.aws.requests_seen.path)


def test_the_credentials_endpoint_gives_the_task_role_and_no_more(task: RunningTask) -> None:
    """The session reads the secret its role may read and is refused the other."""
    variables = task.environment()
    token = variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    status, body = get(variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], Authorization=token)
    keys = json.loads(body)
    secrets = boto3.client(
        "secretsmanager",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["Token"],
    )

    assert status == 200
    assert keys["RoleArn"].endswith(":role/task")
    assert secrets.get_secret_value(SecretId="mine")["SecretString"] == "my secret"
    with pytest.raises(ClientError, match="AccessDenied"):
        secrets.get_secret_value(SecretId="theirs")


def test_the_credentials_endpoint_refuses_who_lacks_the_tasks_token(task: RunningTask) -> None:
    """Another container's token, or none, gets no keys."""
    uri = task.environment()["AWS_CONTAINER_CREDENTIALS_FULL_URI"]

    assert get(uri, Authorization="guessed")[0] == 401
    assert get(uri)[0] == 401
    assert get(uri.rsplit("/", 1)[0] + "/other", Authorization="guessed")[0] == 404


def test_the_aws_common_runtime_accepts_the_endpoints_address(
    task: RunningTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK that the Envoy image uses takes plain http from any 127.x address."""
    variables = task.environment()
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        monkeypatch.setenv(name, variables[name])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    credentials = AwsCredentialsProvider.new_default_chain().get_credentials().result(10)

    assert credentials.access_key_id.startswith("ASIA")
    assert credentials.session_token


def test_the_metadata_endpoint_knows_the_task(task: RunningTask) -> None:
    """ECS_CONTAINER_METADATA_URI_V4 answers without credentials, as on Fargate."""
    uri = task.environment()["ECS_CONTAINER_METADATA_URI_V4"]

    status, body = get(f"{uri}/task")

    assert status == 200
    named = {key: json.loads(body)[key] for key in ("TaskARN", "Cluster", "Family", "Revision")}
    cluster = f"arn:aws:ecs:{task.aws.region}:{task.aws.account}:cluster/tests"
    assert named == {"TaskARN": task.arn, "Cluster": cluster, "Family": "whole", "Revision": "1"}


def test_health_is_what_the_check_says(task: RunningTask) -> None:
    """HEALTHY after a success, UNHEALTHY after as many failures as retries, HEALTHY again after the next success."""
    task.reaches(lastStatus="RUNNING", healthStatus="HEALTHY")

    task.get("/become/unhealthy")
    task.reaches(lastStatus="RUNNING", healthStatus="UNHEALTHY")
    task.get("/become/healthy")

    assert task.reaches(healthStatus="HEALTHY")["containers"][0]["healthStatus"] == "HEALTHY"


def test_only_the_tmpfs_can_be_written(task: RunningTask) -> None:
    """A read-only root file system is one, and what is written to the tmpfs is not seen outside."""
    task.answers()

    assert task.get("/write/run/meshcert/material")[0] == 200
    assert task.get(f"/write{task.aws.directory}/leak")[0] == 500
    assert not (task.aws.directory / "leak").exists()


def test_stopping_a_task_ends_all_of_it_and_keeps_the_exit_code(aws: LocalAws) -> None:
    """SIGTERM reaches the program, which exits 0; its daemon dies with it; its output lies in CloudWatch Logs."""
    aws.client("logs").create_log_group(logGroupName="/tasks")
    options = {"awslogs-group": "/tasks", "awslogs-stream-prefix": "p", "awslogs-region": aws.region}
    logged = container(logConfiguration={"logDriver": "awslogs", "options": options})
    task = RunningTask.start(aws, register(aws, "logged", logged))
    task.answers()
    daemon = f"daemon of {task.address}"
    assert eventually(lambda: processes_with(daemon), "the daemon")

    task.ecs.stop_task(cluster="tests", task=task.arn, reason="enough")
    stopped = task.reaches(lastStatus="STOPPED")

    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "enough")
    assert stopped["containers"][0]["exitCode"] == 0
    assert not processes_with(daemon)
    stream = f"p/app/{task.arn.rsplit('/', 1)[-1]}"
    events = aws.client("logs").get_log_events(logGroupName="/tasks", logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["serving", "finished in order"]


def test_the_exit_of_an_essential_container_stops_the_task(aws: LocalAws) -> None:
    """The others get SIGTERM, each exit code is kept, and the reason is ECS's."""
    after = [{"containerName": "app", "condition": "HEALTHY"}]
    failing = container("failing", entryPoint=["sh", "-c", "exit 9"], dependsOn=after)
    task = RunningTask.start(aws, register(aws, "essential", container(healthCheck=health_check()), failing))

    stopped = task.reaches(lastStatus="STOPPED")

    codes = {item["name"]: item["exitCode"] for item in stopped["containers"]}
    assert codes == {"app": 0, "failing": 9}
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["stoppedReason"] == "Essential container in task exited"


def test_a_job_ends_with_its_application_and_its_sidecar_after_it(aws: LocalAws) -> None:
    """The application waits for the health of a container that is not essential, and its exit code is the task's."""
    after = [{"containerName": "app", "condition": "HEALTHY"}]
    sidecar = container(essential=False, healthCheck=health_check())
    job = container("job", entryPoint=["sh", "-c", "exit 3"], dependsOn=after)
    task = RunningTask.start(aws, register(aws, "job", sidecar, job))

    stopped = task.reaches(lastStatus="STOPPED")

    assert {item["name"]: item["exitCode"] for item in stopped["containers"]} == {"app": 0, "job": 3}


def test_a_job_whose_sidecar_is_not_healthy_in_time_never_starts(aws: LocalAws) -> None:
    """Its startTimeout ends the task, and it its own end with the code that says why."""
    after = [{"containerName": "app", "condition": "HEALTHY"}]
    waits = ["sh", "-c", "trap 'exit 77' TERM; while :; do sleep 0.1; done"]
    sidecar = container(essential=False, entryPoint=waits, healthCheck=health_check(), startTimeout=2)
    job = container("job", entryPoint=["sleep", "60"], dependsOn=after)
    task = RunningTask.start(aws, register(aws, "job-in-vain", sidecar, job))

    stopped = task.reaches(lastStatus="STOPPED")

    codes = {item["name"]: item.get("exitCode") for item in stopped["containers"]}
    assert codes == {"app": 77, "job": None}
    assert stopped["stopCode"] == "TaskFailedToStart"


@pytest.mark.parametrize(
    ("running", "start_timeout_s", "ends"),
    [(True, 120, True), (True, None, False), (False, 120, False)],
    ids=["it runs", "no startTimeout", "it has ended"],
)
def test_only_a_start_timeout_ends_the_wait_for_health(
    monkeypatch: pytest.MonkeyPatch, *, running: bool, start_timeout_s: int | None, ends: bool
) -> None:
    """Otherwise ECS lets a task wait for hours, so nothing of ours may count on its end."""
    now = [1.0]
    monkeypatch.setattr(parts, "Container", lambda *_: SimpleNamespace(running=running, start=lambda: None))
    monkeypatch.setattr(parts, "time", SimpleNamespace(monotonic=lambda: now[0]))
    definition = ContainerDefinition.read(container(startTimeout=start_timeout_s), {}, {})
    plan: Any = None  # the container above takes any
    part = parts.Part(definition, plan, lambda: None)
    part.start()

    assert not part.defeats("HEALTHY")
    now[0] += 121

    assert part.defeats("HEALTHY") is ends


def test_containers_start_when_their_dependencies_are_met(aws: LocalAws) -> None:
    """SUCCESS waits for exit 0, HEALTHY for the first green check; the task runs when all of them do."""
    depends = [{"containerName": "app", "condition": "HEALTHY"}, {"containerName": "first", "condition": "SUCCESS"}]
    first = container("first", essential=False, entryPoint=["sh", "-c", "sleep 0.2"])
    app = container(healthCheck=health_check(), environment=[{"name": "HEALTHY", "value": "no"}])
    last = container("last", entryPoint=["sleep", "60"], dependsOn=depends)
    task = RunningTask.start(aws, register(aws, "ordered", last, app, first))
    task.answers()

    eventually(lambda: task.containers()["first"]["lastStatus"] == "STOPPED", "the first container's end")
    assert task.containers()["last"]["lastStatus"] == "PENDING"
    task.get("/become/healthy")

    task.reaches(lastStatus="RUNNING")
    assert task.containers()["last"]["lastStatus"] == "RUNNING"
    assert task.containers()["first"]["exitCode"] == 0


def test_containers_stop_in_the_reverse_order_of_their_dependencies(aws: LocalAws, tmp_path: Path) -> None:
    """Each gets SIGTERM when those that depend on it have ended, and as much time as its own stopTimeout."""
    heard = tmp_path / "heard"
    heard.write_text("")

    def hears(name: str, then: str, needs: str = "", stop_timeout: int = 60) -> dict[str, Any]:
        script = (
            f"trap 'echo {name} >> {heard}; {then}' TERM; echo ready-{name} >> {heard}; while :; do sleep 0.1; done"
        )
        depends = [{"containerName": needs, "condition": "START"}] if needs else []
        return container(name, entryPoint=["sh", "-c", script], dependsOn=depends, stopTimeout=stop_timeout)

    first, second = hears("proxy", "exit 0"), hears("app", "true", "proxy", stop_timeout=2)
    last = hears("readiness", "exit 3", "app")
    task = RunningTask.start(aws, register(aws, "chain", last, second, first))
    eventually(lambda: len(heard.read_text().split()) == 3, "all three to run")

    task.ecs.stop_task(cluster="tests", task=task.arn)
    stopped = task.reaches(lastStatus="STOPPED")

    assert heard.read_text().split()[3:] == ["readiness", "app", "proxy"]
    codes = {item["name"]: item["exitCode"] for item in stopped["containers"]}
    assert codes == {"readiness": 3, "app": 137, "proxy": 0}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": "fargate-tests:absent"}, "CannotPullContainerError"),
        ({"entryPoint": ["no-such-program"]}, "CannotStartContainerError"),
        ({"dependsOn": [{"containerName": "nobody", "condition": "START"}]}, "depends on"),
        (
            {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/absent"}}},
            "ResourceInitializationError",
        ),
        ({"linuxParameters": {"tmpfs": [{"containerPath": "/no/such/place", "size": 1}]}}, "CannotStartContainerError"),
    ],
)
def test_what_cannot_start_says_why(aws: LocalAws, change: dict[str, Any], reason: str) -> None:
    """The task stops with TaskFailedToStart and a reason that names the cause."""
    task = RunningTask.start(aws, register(aws, "broken", container(**change)))

    stopped = task.reaches(lastStatus="STOPPED", stopCode="TaskFailedToStart")

    assert reason in stopped["stoppedReason"]


def test_an_image_of_another_processor_is_not_pulled(aws: LocalAws, tmp_path: Path) -> None:
    """Fargate runs a task on x86-64 where its definition says nothing."""
    build_image(aws, tmp_path / "context", "fargate-tests:arm64", "--platform", "linux/arm64")
    task = RunningTask.start(aws, register(aws, "another", container(image="fargate-tests:arm64")))

    stopped = task.reaches(lastStatus="STOPPED", stopCode="TaskFailedToStart")

    assert "CannotPullContainerError" in stopped["stoppedReason"]
    assert "linux/amd64" in stopped["stoppedReason"]


def test_a_role_that_does_not_trust_ecs_cannot_be_a_task_role(aws: LocalAws) -> None:
    """As on AWS, the task fails to start instead of running without credentials."""
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    role = new_role(aws, "function", [anything], service="lambda.amazonaws.com")

    task = RunningTask.start(aws, register(aws, "untrusted", container(), role=role))

    assert "unable to assume the role" in task.reaches(lastStatus="STOPPED")["stoppedReason"]


def test_nothing_is_left_when_the_local_aws_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All processes of all tasks are gone, and their addresses refuse connections."""
    folder = tmp_path_factory.mktemp("ends")
    with LocalAws(folder / "aws", images=folder / "images") as aws:
        build_image(aws, folder / "context")
        task = RunningTask.start(aws, register(aws, "ends", container()))
        task.answers()
        address = task.address
        assert processes_with(f"daemon of {address}")

    assert not processes_with(f"daemon of {address}")
    with pytest.raises(OSError, match="refused"):
        get(f"http://{address}:{PORT}/")


@pytest.mark.parametrize(("user", "seen"), [("", "1337"), ("2000:2000", "2000")])
def test_the_definitions_user_comes_before_the_images(aws: LocalAws, user: str, seen: str) -> None:
    """By its number."""
    task = RunningTask.start(aws, register(aws, "user", container(**({"user": user} if user else {}))))
    task.answers()

    assert task.get("/user") == (200, seen if sandbox.namespaces_permitted() else str(os.getuid()))


@pytest.fixture(scope="module")
def kept(aws: LocalAws) -> dict[str, str]:
    """A secret of two versions and a parameter, their ARNs, and an execution role that may fetch no other."""
    secrets, parameters = aws.client("secretsmanager"), aws.client("ssm")
    secret = secrets.create_secret(Name="kept", SecretString='{"password": "one", "port": 5432}')["ARN"]
    secrets.put_secret_value(SecretId=secret, SecretString='{"password": "two", "port": 5433}')
    other = secrets.create_secret(Name="another", SecretString="not yours")["ARN"]
    parameters.put_parameter(Name="/kept/level", Value="debug", Type="SecureString")
    parameter = parameters.get_parameter(Name="/kept/level")["Parameter"]["ARN"]
    rights = [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret},
        {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": parameter},
    ]
    return {"secret": secret, "other": other, "parameter": parameter, "role": new_role(aws, "execution", rights)}


def _with_secrets(aws: LocalAws, execution_role: str, **secrets: str) -> RunningTask:
    declared = [{"name": name, "valueFrom": value} for name, value in secrets.items()]
    return RunningTask.start(aws, register(aws, "fetching", container(secrets=declared), execution_role=execution_role))


def test_secrets_are_fetched_by_the_execution_role_by_key_and_version(aws: LocalAws, kept: dict[str, str]) -> None:
    """As ECS reads `valueFrom`: whole, one key of it, by the label of a version; and a parameter."""
    task = _with_secrets(
        aws,
        kept["role"],
        WHOLE=kept["secret"],
        KEY=f"{kept['secret']}:port::",
        BEFORE=f"{kept['secret']}:password:AWSPREVIOUS:",
        LEVEL=kept["parameter"],
    )

    variables = task.environment()

    assert json.loads(variables["WHOLE"]) == {"password": "two", "port": 5433}
    assert (variables["KEY"], variables["BEFORE"], variables["LEVEL"]) == ("5433", "one", "debug")


@pytest.mark.parametrize(
    ("named", "role", "reason"),
    [
        ("other", "role", "AccessDenied"),
        ("secret:user::", "role", "did not contain json key user"),
        ("secret:password:GONE:", "role", "ResourceNotFound"),
        ("secret", "", "unable to assume the execution role"),
    ],
    ids=["another's", "a missing key", "a missing version", "no role"],
)
def test_a_task_does_not_start_without_its_secrets(
    aws: LocalAws, kept: dict[str, str], named: str, role: str, reason: str
) -> None:
    """ECS says why in stoppedReason, and the value is in none of them."""
    name, colon, behind = named.partition(":")
    task = _with_secrets(aws, kept.get(role, ""), SECRET=f"{kept[name]}{colon}{behind}")

    stopped = task.reaches(lastStatus="STOPPED")["stoppedReason"]

    assert stopped.startswith("ResourceInitializationError: unable to pull secrets or registry auth")
    assert reason in stopped
    assert "not yours" not in stopped
