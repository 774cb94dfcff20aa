"""The setting that every story of the demo shares: a local AWS, a mesh, a gateway to ask, Envoys to watch."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from local.aws.config import CertificateTimes
from local.cdk import ROOT, CdkCli
from local.demo.result import ENOUGH_REQUESTS
from local.gateway_client import Gateway
from local.running_cells import RunningCells
from local.running_mesh import RunningMesh, wait_until
from local.ticking import dispatch
from meshcert.mesh import load_mesh
from meshcert.mesh.edges.pairs import presenters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from local.demo.result import Result
    from local.demo.stage import Stage
    from local.gateway_client import SteadyClient
    from local.running_aws import LocalAws

ONE_WAY = ROOT / "examples" / "color" / "one-way.yaml"
MUTUAL = ROOT / "examples" / "color" / "mutual.yaml"
GATEWAY, TELLER = "colorgateway", "colorteller"
ANSWER = "yellow"
SWEEP_EVERY_S = 1.0


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
    """The mesh file of the stories that play on the Color mesh."""
    # Certificates 340 days old: past the 60 days before expiry at which ACM renews, before any alarm of ours.
    TIMES: ClassVar[CertificateTimes] = CertificateTimes(born_days_ago=340)
    WATCH_EVERY_S: ClassVar[float] = 0.05
    """Pause between two looks at what is served, of two watches together, seconds: so exact are the times it tells."""
    path: Path = field(init=False)
    """The mesh file that is deployed."""
    running: RunningMesh = field(init=False)
    cdk: CdkCli = field(init=False)

    def __post_init__(self) -> None:
        self.path = self._mesh_file()
        self.mesh = load_mesh(self.path)
        self.running = (
            RunningCells.of(self.aws, self.mesh)
            if self.mesh.cells
            else RunningMesh(self.aws, self.mesh.name, self.aws.resolve)
        )
        self.cdk = CdkCli(self.aws.environment(), self.stage.detail)

    @abstractmethod
    def play(self) -> Result:
        """Play all of it; raises when a step does not get through."""

    @property
    def services(self) -> list[str]:
        """The services that have tasks."""
        return [name for name, service in self.mesh.services.items() if service.desired_count]

    @property
    def accounts(self) -> list[str]:
        """The accounts in which services run."""
        of_cells = (self.mesh.cells[service.cell].account for service in self.mesh.services.values() if service.cell)
        return list(dict.fromkeys(of_cells)) or [self.aws.account]

    @property
    def patience_s(self) -> float:
        """How long something may take that concerns every part of the mesh, seconds."""
        return 200.0 + 15.0 * (len(self.mesh.services) + len(self.mesh.identities))

    def stand_up(self) -> None:
        """Bootstrap the account and deploy the mesh."""
        with self.stage.step("Bootstrapping the account and synthesising the app, with the real CDK"):
            self.cdk.bootstrap()
            assembly = self.cdk.synth(self.path, self.folder / "assembly")
        count = len(self.mesh.services)
        self.deploy(assembly, f"Deploying: CAs, certificates, functions, {count} services, renewal")

    def deploy(self, assembly: Path, text: str) -> None:
        """Deploy a cloud assembly and wait for healthy tasks."""
        with self.stage.step(text):
            self.cdk.deploy(assembly)
            self.stage.detail("waiting for healthy tasks")
            self.running.wait_until_steady(list(self.mesh.services), within_s=self.patience_s)

    def gateway(self) -> Gateway:
        """The Color mesh's gateway as clients find it."""
        listener = self.mesh.virtual_gateways[GATEWAY].listeners[0]
        return Gateway(
            address=self.running.gateway_address(GATEWAY),
            port=listener.port_mapping.port,
            server_name=str(self.mesh.identities[GATEWAY].dns_names[0]),
            trust=self.running.trust_bundle(self.mesh.identities[GATEWAY].hierarchy),
        )

    def wait_for_enough(self, *asking: SteadyClient) -> None:
        """Until clients have asked often enough, all together, for their failures to mean something."""
        wait_until(
            lambda: sum(client.requests for client in asking) >= ENOUGH_REQUESTS,
            f"{ENOUGH_REQUESTS} requests",
            within_s=self.patience_s,
        )

    def say_what_failed(self, *asking: SteadyClient) -> None:
        """The first failures that clients have seen, below the step."""
        for failure in [failure for client in asking for failure in client.failures][:3]:
            self.stage.say(f"[red]{self.stage.plain(failure)}[/red]")

    def proven(self, identity: str) -> str:
        """
        Wait until an identity is settled: what is published has been served and proven.

        Args:
            identity: Its name.

        Returns:
            The version.
        """
        return self.all_proven([identity])[identity]

    def all_proven(self, identities: Iterable[str]) -> dict[str, str]:
        """
        Wait until identities are settled; returns the version of each.

        A sweep looks at every identity, where a tick leaves one alone until it is due again. The next one comes when
        nobody is busy with the last: on a busy machine a queue would only grow. So nothing is on its way at the end,
        either, that would see what comes next before anybody is told.
        """
        names, versions = list(identities), dict[str, str]()

        def settled() -> bool:
            idle = self._nothing_is_queued()
            versions.update({name: self.running.proven_version(name) for name in names if not versions.get(name)})
            waiting = [name for name in names if not versions[name]]
            if waiting:
                self.stage.detail(f"waiting for {', '.join(waiting)}")
            if waiting and idle:
                for account in self.accounts:
                    dispatch(self.aws, self.mesh.name, "sweep", account)
            return idle and not waiting

        wait_until(settled, f"settled: {', '.join(names)}", within_s=self.patience_s, every_s=SWEEP_EVERY_S)
        return versions

    def watch(self, identity: str, version: str) -> Watch:
        """One who sees the successor of an identity's current version become served; not started yet."""
        # All of them together ask as often as two would.
        every_s = self.WATCH_EVERY_S * max(1.0, len(self.mesh.identities) / 2)
        services = presenters(self.mesh, identity)
        return Watch(self.running, identity, version, services, every_s=every_s, patience_s=self.patience_s)

    def acm_renews(self) -> None:
        """ACM's day comes: every exported certificate that is due is renewed."""
        for account in self.accounts:
            self.aws.control("POST", f"/_local/acm/day?account={account}")

    @contextmanager
    def renewals_held_back(self) -> Iterator[None]:
        """ACM takes its time: no renewal is done while this lasts, whoever asks for one."""
        self.aws.control("PUT", "/_local/acm/renewals", {"held": True})
        try:
            yield
        finally:
            self.aws.control("PUT", "/_local/acm/renewals", {"held": False})

    def _mesh_file(self) -> Path:
        return self.MESH

    def _nothing_is_queued(self) -> bool:
        return not any(self.running.queued(queue) for queue in ("dispatch", "looks"))


class Watch(threading.Thread):
    """
    Sees when an identity's new version becomes current and when every task of its services serves it.

    Args:
        identity: The identity.
        version: The version that is current now.
        services: The services that present it; none for a client outside the mesh, which is told by its secret alone.
        every_s: Pause between two looks, seconds.
        patience_s: How long each of the two may take, seconds.
    """

    def __init__(
        self,
        running: RunningMesh,
        identity: str,
        version: str,
        services: Sequence[str],
        *,
        every_s: float,
        patience_s: float,
    ) -> None:
        super().__init__(daemon=True)
        self._running = running.again()
        self._identity = identity
        self._version = version
        self._services = services
        self._every_s = every_s
        self._patience_s = patience_s
        self._error: BaseException | None = None
        # Not ACM's: it may have renewed already, and nobody serves that yet.
        self.old_serial = running.serial_of(identity, version)
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
        within_s, every_s = self._patience_s, self._every_s
        wait_until(self._promoted, f"{name}: a new current version", within_s=within_s, every_s=every_s)
        promoted = time.monotonic()
        wait_until(self._served, f"{name}: served by every task", within_s=within_s, every_s=every_s)
        self.served_after_s = time.monotonic() - promoted

    def _promoted(self) -> bool:
        current = self._running.current_version(self._identity)
        if current != self._version:
            self.serial = self._running.serial_of(self._identity, current)
        return bool(self.serial)

    def _served(self) -> bool:
        return all(self._running.all_serve(service, self.serial, self.old_serial) for service in self._services)
