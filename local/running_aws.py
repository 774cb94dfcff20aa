"""A local AWS in a process of its own: started for a test or a demo, used like an account, gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config as BotoConfig
from dnslib import DNSRecord

from local.assembly import deploy_assembly
from local.aws.config import USUAL, CertificateTimes, Config, TrafficBehaviour
from local.requests_seen import RequestsSeen, requests_seen

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
ACCOUNT = "111122223333"
REGION = "eu-west-1"
_PORT = 4566
_DNS_PORT = 10053
_NETWORKS = range(64, 192)
_ATTEMPTS = 5
# On a busy machine the imports alone take half a minute.
_START_S = 120.0
_STOP_S = 15.0
_CONTROL_S = 60.0


class LocalAwsFailed(Exception):
    """
    The local AWS did not start, or a control endpoint refused.

    Args:
        log_path: Where it wrote its log.
    """

    def __init__(self, message: str, log_path: Path) -> None:
        self.log_path = log_path
        super().__init__(f"{message}; its log is {log_path}")


@dataclass
class LocalAws:
    """
    One local AWS, as a context manager.

    Several can run at once: each takes a free network 127.64 to 127.191 for itself. It ends with the ``with`` block,
    and also when this process dies, because it watches its standard input.

    The interpreters come from ``build/``; MESHCERT_LOCAL_PYTHON and MESHCERT_FUNCTION_PYTHON name others.

    Args:
        directory: Folder for its log (:attr:`log_path`) and its files; all but the log is removed when it ends.
        certificates: When its ACM and Private CA date, renew and warn.
        images: Folder of the laid-out container images.
        account: Twelve-digit account id.
        region: Region name.
        cpu_quota: Whether its tasks get no more than their CPU units, where cgroups permit that
            (:mod:`local.aws.fargate.containers.cpu_quota`).
        other_clusters_tasks_per_s: How many tasks of other clusters send their events to the account's default bus.
        traffic: How callers come to know its tasks, and what happens when tasks stop. The default is AWS's behaviour
            at a tenth of its times.
    """

    directory: Path
    certificates: CertificateTimes = field(default_factory=CertificateTimes)
    images: Path = ROOT / "build" / "images"
    account: str = ACCOUNT
    region: str = REGION
    cpu_quota: bool = False
    other_clusters_tasks_per_s: float = 0.0
    traffic: TrafficBehaviour = USUAL
    _config: Config | None = field(default=None, init=False, repr=False)
    _process: subprocess.Popen[str] | None = field(default=None, init=False, repr=False)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False, repr=False)
    _seen: RequestsSeen | None = field(default=None, init=False, repr=False)

    @classmethod
    def run_by_another(cls, endpoint: str, directory: Path) -> Self:
        """
        One that another process has started, for example ``make demo ARGS=--keep``: used here, ended there.

        Args:
            endpoint: The URL of its API.
            directory: Folder for what the CDK CLI remembers of it.
        """
        running = cls(directory)
        running._config = running._configured(endpoint.removeprefix("http://").removesuffix(f":{_PORT}"))
        return running

    def __enter__(self) -> Self:
        """
        Start it and wait until it answers.

        Raises:
            LocalAwsFailed: If it ends or stays silent for two minutes.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        networks = random.SystemRandom().sample(_NETWORKS, len(_NETWORKS))
        free = (network for network in networks if _is_free(f"127.{network}.0.1"))
        for attempt, network in enumerate(free, start=1):
            try:
                self._start(f"127.{network}.0.1")
            except LocalAwsFailed:
                self._stop()
                # Somebody may have taken the address between our look and the start.
                if attempt == _ATTEMPTS or _is_free(f"127.{network}.0.1"):
                    raise
            except BaseException:
                self._stop()
                raise
            else:
                return self
        raise LocalAwsFailed(f"port {_PORT} is taken in every network from 127.64 to 127.191", self.log_path)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it, everything it started, and what it wrote, the log excepted."""
        self._stop()

    @property
    def log_path(self) -> Path:
        """The file that it and its functions' start-up write to."""
        return self.directory / "local-aws.log"

    @property
    def config(self) -> Config:
        """
        How it was started.

        Raises:
            LocalAwsFailed: If it was not.
        """
        if self._config is None:
            raise LocalAwsFailed("the local AWS is not running", self.log_path)
        return self._config

    @property
    def endpoint(self) -> str:
        """The URL of its API."""
        return self.config.endpoint

    @property
    def pid(self) -> int:
        """
        Its process, whose descendants are the tasks and the functions.

        Raises:
            LocalAwsFailed: If another process runs it, or none.
        """
        if self._process is None:
            raise LocalAwsFailed("the local AWS is not this program's own", self.log_path)
        return self._process.pid

    @property
    def requests_seen(self) -> RequestsSeen:
        """
        How often each request came to its tasks' applications.

        Raises:
            LocalAwsFailed: If it is not running.
        """
        if self._seen is None:  # another process runs it, and has made the pipe
            pipe = Path(self.control("GET", "/_local/requests-seen"))
            self._seen = self._open.enter_context(contextlib.closing(RequestsSeen(pipe)))
        return self._seen

    def environment(self, account: str = "") -> dict[str, str]:
        """
        The variables that point boto3, the AWS CLI and the CDK CLI at it, with an administrator's rights.

        Args:
            account: Whose administrator; by default that of the local AWS's own account.
        """
        return {
            **_root_key(account),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "CDK_DEFAULT_ACCOUNT": account or self.account,
            "CDK_DEFAULT_REGION": self.region,
            # The CLI remembers which account a key belongs to; another local AWS may have used the same key.
            "CDK_HOME": str(self.directory / "cdk-home" / account),
            "CDK_DISABLE_CLI_TELEMETRY": "1",
            "CDK_DOCKER": str(ROOT / "local" / "images" / "docker"),
            # A login is this registry's alone: another local AWS has one of the same name.
            "DOCKER_CONFIG": str(self.directory / "docker-config"),
            "MESHCERT_LOCAL_IMAGES": str(self.images),
        }

    def client(self, service: str, config: Any = None, account: str = "") -> Any:
        """
        A boto3 client with an administrator's rights.

        Args:
            config: botocore's, for example for other retries.
            account: Whose administrator; by default that of the local AWS's own account.
        """
        return self._client(service, _root_key(account), config)

    def client_as(self, role_arn: str, service: str) -> Any:
        """A boto3 client that may do what the role may, whomever the role trusts."""
        return self._client(service, self.control("POST", "/_local/iam/session", {"role": role_arn}))

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """
        Call a control endpoint.

        Args:
            method: HTTP method.
            path: For example ``/_local/acm/day``.
            body: Sent as JSON; None sends nothing.

        Returns:
            The decoded answer.

        Raises:
            LocalAwsFailed: If the answer is no success.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_CONTROL_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise LocalAwsFailed(f"{method} {path}: {error.read().decode()}", self.log_path) from error

    def reset(self) -> None:
        """Forget everything: all resources of all services, in about 0.1 s."""
        self.control("POST", "/_ministack/reset", {})

    def cpu_shares(self) -> str:
        """In words: whether its tasks get no more CPU than their units, and why not."""
        answer = self.control("GET", "/_local/cpu")
        if answer["enforced"]:
            return "CPU: no task gets more than its units (cgroup quota)"
        return f"CPU: tasks get more than their units, which Fargate does not give them ({answer['reason']})"

    def resolve(self, name: str, account: str = "") -> str:
        """
        The first address that its DNS has for a name of a load balancer or of Cloud Map.

        Args:
            account: In whose VPC is asked; by default that of the local AWS's own account.

        Raises:
            LookupError: If it has none.
        """
        host, _, port = self.control("POST", "/_local/resolver", {"account": account or self.account}).partition(":")
        query = DNSRecord.question(name)
        for record in DNSRecord.parse(query.send(host, int(port), timeout=5)).rr:
            return str(record.rdata)
        raise LookupError(f"the local AWS has no address for {name}")

    def deploy(self, assembly: Path) -> None:
        """
        Deploy a cloud assembly through the API alone, without the CDK CLI.

        Raises:
            local.assembly.DeploymentFailed: If a stack does not get there; says which resource and why.
        """
        deploy_assembly(assembly, self.client, self.environment())

    def _client(self, service: str, credentials: dict[str, str], config: Any = None) -> Any:
        # Some services have a host for each part of their API; here one host has them all.
        one_host = BotoConfig(inject_host_prefix=False)
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.region,
            config=one_host.merge(config) if config else one_host,
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials.get("AWS_SESSION_TOKEN"),
        )

    def _configured(self, host: str) -> Config:
        return Config(
            directory=self.directory / "state",
            images=self.images,
            bundles=ROOT / "build" / "function-code",
            host=host,
            port=_PORT,
            dns_port=_DNS_PORT,
            account=self.account,
            region=self.region,
            function_python=_interpreter("MESHCERT_FUNCTION_PYTHON", "venv-lambda"),
            certificates=self.certificates,
            cpu_quota=self.cpu_quota,
            other_clusters_tasks_per_s=self.other_clusters_tasks_per_s,
            traffic=self.traffic,
        )

    def _start(self, host: str) -> None:
        self._config = self._configured(host)
        command = [str(_interpreter("MESHCERT_LOCAL_PYTHON", "venv-local")), "-m", "local.aws"]
        with self.log_path.open("a") as log:
            # A session of its own: Ctrl-C reaches us alone, and we end it in order by closing its standard input.
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise LocalAwsFailed("no pipes to the local AWS", self.log_path)
        process.stdin.write(self._config.to_json() + "\n")
        process.stdin.flush()
        silence = threading.Timer(_START_S, process.kill)
        silence.start()
        line = process.stdout.readline()
        silence.cancel()
        if not line:
            raise LocalAwsFailed(f"the local AWS ended with status {process.wait(_STOP_S)}", self.log_path)
        self._seen = self._open.enter_context(requests_seen(self._config.requests_seen))

    def _stop(self) -> None:
        self._open.close()
        self._seen = None
        process, self._process = self._process, None
        config, self._config = self._config, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            # Whatever it left in its session ends here; usually there is nothing.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if config is not None:
            shutil.rmtree(config.directory, ignore_errors=True)
        shutil.rmtree(self.directory / "cdk-home", ignore_errors=True)


def _root_key(account: str) -> dict[str, str]:
    """An account's root: MiniStack takes an access key of twelve digits for the account, and ``test`` for its own."""
    return {"AWS_ACCESS_KEY_ID": account or "test", "AWS_SECRET_ACCESS_KEY": "test"}


def _interpreter(variable: str, environment: str) -> Path:
    return Path(os.environ.get(variable) or ROOT / "build" / environment / "bin" / "python")


def _is_free(host: str) -> bool:
    for kind, port in ((socket.SOCK_STREAM, _PORT), (socket.SOCK_DGRAM, _DNS_PORT)):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
