"""A small container image of the tests' own, and tasks and services that run it."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.running_aws import ROOT
from tests.local.aws.hierarchies import eventually
from tests.local.aws.shapes import checked_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws

CLUSTER = "tests"
IMAGE = "fargate-tests:one"
PORT = 8080

_PROGRAM = """
    import http.server, json, os, pathlib, signal, subprocess, sys

    address, state = os.environ["MESHCERT_LISTEN_ADDRESS"], {"healthy": os.environ.get("HEALTHY", "yes") == "yes"}

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, body = 200, b""
            if self.path == "/health":
                status = 200 if state["healthy"] else 503
            elif self.path == "/environment":
                body = json.dumps(dict(os.environ)).encode()
            elif self.path == "/user":
                body = str(os.getuid()).encode()
            elif self.path.startswith("/write"):
                try:
                    pathlib.Path(self.path.removeprefix("/write")).write_text("x")
                except OSError as error:
                    status, body = 500, str(error).encode()
            elif self.path.startswith("/become/"):
                state["healthy"] = self.path == "/become/healthy"
            elif self.path == "/exit":
                os._exit(7)
            else:
                body = f"{os.environ.get('COLOR', '')} {address}".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def finish(*_):
        print("finished in order", flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, finish)
    # Leaves the process group, as a badly behaved daemon does.
    subprocess.Popen(["sh", "-c", f"sleep 60; : daemon of {address}"], start_new_session=True)
    server = http.server.ThreadingHTTPServer((address, 8080), Answer)
    print("serving", flush=True)
    server.serve_forever()
"""

_HEALTH_CHECK = """
    import os, sys, urllib.request
    urllib.request.urlopen(f"http://{os.environ['MESHCERT_LISTEN_ADDRESS']}:8080/health", timeout=30)
"""

_DOCKERFILE = """
    FROM python:3.13-slim-bookworm
    WORKDIR /app
    COPY *.py ./
    USER 1337
    ENTRYPOINT ["python", "/app/program.py"]
"""


def docker(*arguments: str, environment: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the ``docker`` stand-in to its end."""
    command = [str(ROOT / "local" / "images" / "docker"), *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(command, env=variables, input=stdin, capture_output=True, text=True, check=False)


def build_image(aws: LocalAws, folder: Path, reference: str = IMAGE, *options: str) -> None:
    """Lay out the tests' image for a local AWS, with options of ``docker build``."""
    folder.mkdir()
    for name, text in (("program.py", _PROGRAM), ("health.py", _HEALTH_CHECK), ("Dockerfile", _DOCKERFILE)):
        (folder / name).write_text(textwrap.dedent(text))
    done = docker("build", *options, "--tag", reference, str(folder), environment=aws.environment())
    assert done.returncode == 0, done.stderr


def health_check(interval: int = 1) -> dict[str, Any]:
    """A definition's healthCheck that asks the program itself."""
    return {"command": ["CMD", "python", "/app/health.py"], "interval": interval, "timeout": 60, "retries": 2}


def container(name: str = "app", **more: Any) -> dict[str, Any]:
    """A container definition of the tests' image."""
    return {"name": name, "image": IMAGE, "essential": True, "stopTimeout": 5, **more}


def register(aws: LocalAws, family: str, *containers: dict[str, Any], role: str = "", execution_role: str = "") -> str:
    """Register a Fargate task definition; returns its ARN."""
    definition = aws.client("ecs").register_task_definition(
        family=family,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=list(containers),
        **({"taskRoleArn": role} if role else {}),
        **({"executionRoleArn": execution_role} if execution_role else {}),
    )
    return str(definition["taskDefinition"]["taskDefinitionArn"])


@dataclass(frozen=True)
class RunningTask:
    """One task of the tests' cluster."""

    aws: LocalAws
    arn: str
    ecs: Any = field(repr=False)

    @classmethod
    def start(cls, aws: LocalAws, definition: str) -> RunningTask:
        """Start a task by RunTask."""
        ecs = checked_client(aws, "ecs")
        ecs.create_cluster(clusterName=CLUSTER)
        answer = ecs.run_task(cluster=CLUSTER, taskDefinition=definition, launchType="FARGATE")
        return cls(aws, answer["tasks"][0]["taskArn"], ecs)

    def describe(self) -> dict[str, Any]:
        """The task as DescribeTasks shows it."""
        described: dict[str, Any] = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[self.arn])["tasks"][0]
        return described

    def reaches(self, **wanted: str) -> dict[str, Any]:
        """Wait until the task has these values; returns its description."""

        def look() -> dict[str, Any]:
            task = self.describe()
            return task if all(task.get(key) == value for key, value in wanted.items()) else {}

        return eventually(look, f"task {wanted} (is {self.describe()})")

    def containers(self) -> dict[str, dict[str, Any]]:
        """Its containers by name."""
        return {item["name"]: item for item in self.describe()["containers"]}

    @property
    def address(self) -> str:
        """Its private address."""
        details = self.describe()["attachments"][0]["details"]
        return str(next(item["value"] for item in details if item["name"] == "privateIPv4Address"))

    def get(self, path: str = "/") -> tuple[int, str]:
        """Ask the program; status and body."""
        return get(f"http://{self.address}:{PORT}{path}")

    def answers(self) -> None:
        """Wait until the program listens."""
        eventually(lambda: _or_zero(self.get)[0] == 200, f"{self.arn} to answer")

    def environment(self) -> dict[str, str]:
        """The program's environment."""
        self.answers()
        variables: dict[str, str] = json.loads(self.get("/environment")[1])
        return variables


@dataclass(frozen=True)
class RunningService:
    """One service of the tests' cluster whose tasks a file tells how to fare: empty, ``exit`` or ``sick``."""

    aws: LocalAws
    name: str
    fate: Path
    ecs: Any = field(repr=False)

    @classmethod
    def create(cls, aws: LocalAws, fate: Path, *, count: int = 2, **more: Any) -> RunningService:
        """Create a service by CreateService; more of the request may be given."""
        fate.write_text("")
        script = f'case "$(cat {fate})" in exit) exit 3;; sick) export HEALTHY=no;; esac; exec python program.py'
        # Healthy is seen at once, but who is sick only stays UNKNOWN: twice 30 s are more than a test waits.
        app = container(entryPoint=["sh", "-c", script], healthCheck=health_check(interval=30))
        definition = register(aws, "fated", app)
        ecs = checked_client(aws, "ecs")
        ecs.create_cluster(clusterName=CLUSTER)
        call = {"taskDefinition": definition, "launchType": "FARGATE", "desiredCount": count, **more}
        ecs.create_service(cluster=CLUSTER, serviceName="fated", **call)
        return cls(aws, "fated", fate, ecs)

    def redeploy(self, fate: str = "") -> str:
        """Force a new deployment whose tasks fare so; returns its id."""
        self.fate.write_text(fate)
        answer = self.ecs.update_service(cluster=CLUSTER, service=self.name, forceNewDeployment=True)
        return str(answer["service"]["deployments"][0]["id"])

    def describe(self, **more: Any) -> dict[str, Any]:
        """The service as DescribeServices shows it."""
        answer = self.ecs.describe_services(cluster=CLUSTER, services=[self.name], **more)
        described: dict[str, Any] = answer["services"][0]
        return described

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Its deployments by id, the primary one first."""
        return {item["id"]: item for item in self.describe()["deployments"]}

    def reaches(self, deployment_id: str, **wanted: Any) -> dict[str, Any]:
        """Wait until a deployment has these values; returns its description."""

        def look() -> dict[str, Any]:
            deployment = self.deployments().get(deployment_id, {})
            return deployment if wanted.items() <= deployment.items() else {}

        return eventually(look, f"deployment {wanted} (are {self.deployments()})", within_s=120)

    def steady(self) -> str:
        """Wait until its only deployment is complete; returns that one's id."""

        def look() -> str:
            [(deployment_id, newest), *others] = self.deployments().items()
            return deployment_id if newest["rolloutState"] == "COMPLETED" and not others else ""

        return eventually(look, f"{self.name} to be steady (is {self.deployments()})", within_s=120)

    def history(self) -> list[dict[str, Any]]:
        """Its service deployments as DescribeServiceDeployments shows them, the newest first."""
        listed = self.ecs.list_service_deployments(cluster=CLUSTER, service=self.name)["serviceDeployments"]
        arns = [item["serviceDeploymentArn"] for item in listed]
        found: list[dict[str, Any]] = self.ecs.describe_service_deployments(serviceDeploymentArns=arns)[
            "serviceDeployments"
        ]
        return found

    def tasks(self, desired: str = "RUNNING") -> list[RunningTask]:
        """Its tasks that are to run, or those that are not."""
        call = {"cluster": CLUSTER, "serviceName": self.name, "desiredStatus": desired}
        return [RunningTask(self.aws, arn, self.ecs) for arn in self.ecs.list_tasks(**call)["taskArns"]]

    def tasks_of(self, deployment_id: str) -> list[RunningTask]:
        """All tasks that a deployment ever started."""
        tasks = [*self.tasks("RUNNING"), *self.tasks("STOPPED")]
        return [task for task in tasks if task.describe()["startedBy"] == deployment_id]


def stays(look: Callable[[], bool], what: str, *, for_s: float) -> None:
    """Look again and again for so many seconds; fails as soon as ``look`` is not true."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        assert look(), what
        time.sleep(0.05)


def get(url: str, **headers: str) -> tuple[int, str]:
    """GET a URL; status and body, whatever the status."""
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - loopback http
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def processes_with(marker: str) -> list[str]:
    """Command lines of all processes that contain a text."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if marker in line:
            found.append(line)
    return found


def _or_zero(ask: Any) -> tuple[int, str]:
    try:
        answer: tuple[int, str] = ask()
    except (OSError, LookupError):
        return 0, ""
    return answer
