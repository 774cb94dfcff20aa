"""A small container image of the tests' own, and tasks and services that run it."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.lab import ROOT
from tests.emulator.hierarchies import eventually
from tests.emulator.shapes import checked_client

if TYPE_CHECKING:
    from local.lab import LocalAws

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
    urllib.request.urlopen(f"http://{os.environ['MESHCERT_LISTEN_ADDRESS']}:8080/health", timeout=1)
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


def build_image(aws: LocalAws, folder: Path, reference: str = IMAGE) -> None:
    """Lay out the tests' image for a local AWS."""
    folder.mkdir()
    for name, text in (("program.py", _PROGRAM), ("health.py", _HEALTH_CHECK), ("Dockerfile", _DOCKERFILE)):
        (folder / name).write_text(textwrap.dedent(text))
    done = docker("build", "--tag", reference, str(folder), environment=aws.environment())
    assert done.returncode == 0, done.stderr


def health_check(interval: int = 1) -> dict[str, Any]:
    """A definition's healthCheck that asks the program itself."""
    return {"command": ["CMD", "python", "/app/health.py"], "interval": interval, "timeout": 2, "retries": 2}


def container(name: str = "app", **more: Any) -> dict[str, Any]:
    """A container definition of the tests' image."""
    return {"name": name, "image": IMAGE, "essential": True, "stopTimeout": 5, **more}


def register(aws: LocalAws, family: str, *containers: dict[str, Any], role: str = "") -> str:
    """Register a Fargate task definition; returns its ARN."""
    definition = aws.client("ecs").register_task_definition(
        family=family,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=list(containers),
        **({"taskRoleArn": role} if role else {}),
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


def get(url: str, **headers: str) -> tuple[int, str]:
    """GET a URL; status and body, whatever the status."""
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - loopback http
    try:
        with urllib.request.urlopen(request, timeout=3) as answer:  # noqa: S310 - as above
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
