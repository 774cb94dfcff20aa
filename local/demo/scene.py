"""The setting that every story of the demo shares: a local AWS, the Color mesh, a gateway to ask, Envoys to watch."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from local.aws.config import CertificateTimes
from local.cdk import ROOT, CdkCli
from local.demo.result import ENOUGH_REQUESTS
from local.gateway_client import Gateway
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking
from meshcert.contract.container import ADMIN_PORT
from meshcert.mesh import load_mesh

if TYPE_CHECKING:
    from pathlib import Path

    from local.demo.result import Result
    from local.demo.stage import Stage
    from local.gateway_client import SteadyClient
    from local.running_aws import LocalAws

ONE_WAY = ROOT / "examples" / "color" / "one-way.yaml"
MUTUAL = ROOT / "examples" / "color" / "mutual.yaml"
GATEWAY, TELLER = "colorgateway", "colorteller"
ANSWER = "yellow"
WATCH_EVERY_S = 0.02
SWEEP_EVERY_S = 2.0


@dataclass
class Scene(ABC):
    """
    Where a story plays.

    Args:
        stage: Shows it.
        aws: The local AWS, just started.
        folder: For cloud assemblies.
    """

    stage: Stage
    aws: LocalAws
    folder: Path
    TITLE: ClassVar[str]
    MESH: ClassVar[Path] = MUTUAL
    """The mesh file that is deployed, with mutual TLS."""
    # Certificates 340 days old: past the 60 days before expiry at which ACM renews, before any alarm of ours.
    TIMES: ClassVar[CertificateTimes] = CertificateTimes(born_days_ago=340)
    running: RunningMesh = field(init=False)
    cdk: CdkCli = field(init=False)

    def __post_init__(self) -> None:
        self.mesh = load_mesh(self.MESH)
        self.running = RunningMesh(self.aws, self.mesh.name, self.aws.resolve)
        self.cdk = CdkCli(self.aws.environment(), self.stage.detail)

    @abstractmethod
    def play(self) -> Result:
        """Play all of it; raises when a step does not get through."""

    def stand_up(self) -> None:
        """Bootstrap the account and deploy the mesh with mutual TLS."""
        with self.stage.step("Bootstrapping the account and synthesising the app, with the real CDK"):
            self.cdk.bootstrap()
            assembly = self.cdk.synth(self.MESH, self.folder / "mutual")
        self.deploy(assembly, "Deploying: CAs, certificates, functions, two services with mutual TLS, renewal")

    def deploy(self, assembly: Path, text: str) -> None:
        """Deploy a cloud assembly and wait for healthy tasks."""
        with self.stage.step(text):
            self.cdk.deploy(assembly)
            self.stage.detail("waiting for healthy tasks")
            self.running.wait_until_steady([GATEWAY, TELLER])

    def gateway(self) -> Gateway:
        """The gateway as clients find it."""
        listener = self.mesh.virtual_gateways[GATEWAY].listeners[0]
        return Gateway(
            address=self.running.gateway_address(GATEWAY),
            port=listener.port_mapping.port,
            server_name=str(self.mesh.identities[GATEWAY].dns_names[0]),
            trust=self.running.trust_bundle(self.mesh.identities[GATEWAY].hierarchy),
        )

    def wait_for_enough(self, asking: SteadyClient) -> None:
        """Until a client has asked often enough for its failures to mean something."""
        wait_until(lambda: asking.requests >= ENOUGH_REQUESTS, f"{ENOUGH_REQUESTS} requests", within_s=60)

    def addresses(self) -> dict[str, str]:
        """The addresses of the load balancer and of each task's Envoy admin interface."""
        gateway = self.gateway()
        found = {"gateway": f"{gateway.address}:{gateway.port}"}
        for service in (GATEWAY, TELLER):
            for task in self.running.tasks(service):
                found[f"{service}, Envoy admin"] = f"{task.address}:{ADMIN_PORT}"
        return found

    def trust_bundle(self, path: Path) -> Path:
        """Write the roots that clients of the gateway need to a file; returns its path."""
        path.write_text(self.gateway().trust.certificates)
        return path

    def proven(self, identity: str) -> str:
        """
        Wait until an identity is settled: what is published has been served and proven.

        Args:
            identity: Its name.

        Returns:
            The version.
        """
        # Sweeps in haste: a tick leaves an identity alone until it is due again, up to a minute.
        with Ticking(self.aws, self.mesh.name, sweep_every_s=SWEEP_EVERY_S):
            version = wait_until(lambda: self.running.proven_version(identity), f"{identity}: settled", within_s=90)
        # None of them may still be on its way: it would see what comes next before anybody is told.
        wait_until(self._nothing_is_queued, "empty queues", within_s=90)
        return version

    def _nothing_is_queued(self) -> bool:
        return not any(self.running.queued(queue) for queue in ("dispatch", "looks"))

    def acm_renews(self) -> None:
        """ACM's day comes: every exported certificate that is due is renewed."""
        self.aws.control("POST", "/_local/acm/day")


class Watch(threading.Thread):
    """
    Sees when an identity's new version becomes current and when every task of its service serves it.

    Args:
        identity: The identity; its service has the same name.
        version: The version that is current now.
    """

    def __init__(self, running: RunningMesh, identity: str, version: str) -> None:
        super().__init__(daemon=True)
        # A mesh of its own: boto3 clients are shared between threads only by those who read the small print.
        self._running = RunningMesh(running.aws, running.name, running.resolve)
        self._identity = identity
        self._version = version
        self._error: BaseException | None = None
        self.serial = ""
        self.served_after_s = 0.0

    def run(self) -> None:
        """Watch until it is served; an error waits for whoever joins."""
        try:
            self._watch()
        except BaseException as error:  # noqa: BLE001 -- carried over to the thread that joins
            self._error = error

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end, and raise what went wrong."""
        super().join(timeout)
        if self._error is not None:
            raise self._error

    def _watch(self) -> None:
        name = self._identity
        wait_until(self._promoted, f"{name}: a new current version", within_s=90, every_s=WATCH_EVERY_S)
        promoted = time.monotonic()
        self.serial = self._running.serial(name)
        wait_until(self._served, f"{name}: served by every task", within_s=120, every_s=WATCH_EVERY_S)
        self.served_after_s = time.monotonic() - promoted

    def _promoted(self) -> bool:
        return self._running.current_version(self._identity) != self._version

    def _served(self) -> bool:
        return self._running.served_by_all(self._identity) == {self.serial}
