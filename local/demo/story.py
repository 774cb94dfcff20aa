"""The demo's story: one-way TLS, mutual TLS, a refusal, a renewal."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from local.aws.config import CertificateTimes
from local.cdk import ROOT, CdkCli
from local.demo.result import ENOUGH_REQUESTS, DemoResult, Refused, Renewal, Seconds
from local.gateway_client import Gateway, SteadyClient, ask_without_certificate
from local.running_mesh import ADMIN_PORT, RunningMesh, TlsCounters, wait_until
from meshcert.envoy.access_log import REFUSED_EVENT
from meshcert.mesh import load_mesh

if TYPE_CHECKING:
    from pathlib import Path

    from local.demo.stage import Stage
    from local.lab import LocalAws

ONE_WAY = ROOT / "examples" / "color" / "one-way.yaml"
MUTUAL = ROOT / "examples" / "color" / "mutual.yaml"
GATEWAY, TELLER = "colorgateway", "colorteller"
ANSWER = "yellow"
WATCH_EVERY_S = 0.02


@dataclass
class Story:
    """
    Plays the demo on a local AWS.

    Args:
        stage: Shows it.
        aws: The local AWS, just started.
        folder: For cloud assemblies.
    """

    stage: Stage
    aws: LocalAws
    folder: Path
    # Certificates 340 days old: past the 60 days before expiry at which ACM renews, before any alarm of ours.
    TIMES: ClassVar[CertificateTimes] = CertificateTimes(born_days_ago=340)

    def play(self) -> DemoResult:
        """Play all of it; raises when a step does not get through."""
        self._mesh = load_mesh(MUTUAL)
        self._running = RunningMesh(self.aws, self._mesh.mesh.name, self.aws.resolve)
        self._cdk = CdkCli(self.aws.environment(), self.stage.detail)
        began = time.monotonic()
        # One after the other, beside everything else: a synthesis keeps one processor busy.
        with ThreadPoolExecutor(max_workers=1) as synthesis:
            one_way = synthesis.submit(self._cdk.synth, ONE_WAY, self.folder / "one-way")
            mutual = synthesis.submit(self._cdk.synth, MUTUAL, self.folder / "mutual")
            with self.stage.step("Bootstrapping the account and synthesising the app, with the real CDK"):
                self._cdk.bootstrap()
                assembly = one_way.result()
            self._deploy(assembly, "Deploying with one-way TLS: CAs, certificates, export function, two services")
            deployed_s = time.monotonic() - began
            _, one_way_counters = self._ask("one-way TLS")
            self._deploy(mutual.result(), "Deploying the same mesh with mutual TLS over it")
        answer, mutual_counters = self._ask("mutual TLS")
        refused = self._refuse()
        renewal = self._renew()
        seconds = Seconds(round(self.stage.install_s, 1), round(deployed_s, 1), round(self.stage.total_s, 1))
        return DemoResult(answer, one_way_counters, mutual_counters, refused, renewal, seconds)

    def addresses(self) -> dict[str, str]:
        """What listens where, once it has been played: the load balancer, and each task's listener and admin."""
        gateway = self._gateway()
        found = {"gateway": f"{gateway.address}:{gateway.port}"}
        for service in (GATEWAY, TELLER):
            for task in self._running.tasks(service):
                found[f"{service}, Envoy admin"] = f"{task.address}:{ADMIN_PORT}"
        return found

    def trust_bundle(self, path: Path) -> Path:
        """Write the roots that clients of the gateway need to a file; returns its path."""
        path.write_text(self._gateway().trust.certificates)
        return path

    def _deploy(self, assembly: Path, text: str) -> None:
        with self.stage.step(text):
            self._cdk.deploy(assembly)
            self.stage.detail("waiting for healthy tasks")
            self._running.wait_until_steady([GATEWAY, TELLER])

    def _gateway(self) -> Gateway:
        listener = self._mesh.virtual_gateways[GATEWAY].listeners[0]
        return Gateway(
            address=self._running.gateway_address(GATEWAY),
            port=listener.port_mapping.port,
            server_name=self._mesh.identities[GATEWAY].dns_names[0],
            trust=self._running.trust_bundle(self._mesh.identities[GATEWAY].hierarchy),
        )

    def _ask(self, manner: str) -> tuple[str, TlsCounters]:
        """One request, with the teller's own counters read before and after."""
        with self.stage.step(f"One request, client → load balancer → gateway → teller, {manner}"):
            teller = self._running.task(TELLER)
            before = teller.tls_counters()
            gateway = self._gateway()
            with gateway.client() as client:
                response = gateway.ask(client)
            counted = teller.tls_counters().since(before)
        self.stage.say(
            f"answer [bold]{response.text.strip()}[/bold] [{response.status_code}]; teller's Envoy: "
            f"ssl.handshake +{counted.handshake}, ssl.no_certificate +{counted.no_certificate}"
        )
        return response.text.strip(), counted

    def _refuse(self) -> Refused:
        with self.stage.step("A client without a certificate, straight to the teller"):
            listener = self._mesh.virtual_nodes[TELLER].listeners[0]
            status, _ = ask_without_certificate(
                self._running.task(TELLER).address,
                listener.port_mapping.port,
                self._mesh.identities[TELLER].dns_names[0],
            )
            reason = wait_until(self._refusal, "the refusal in the teller's access log", within_s=15)
        self.stage.say(f"refused; the teller's access log says why: {reason}")
        return Refused(status, reason)

    def _refusal(self) -> str:
        refusals = (line for line in self._running.log_lines(TELLER) if line.get("event") == REFUSED_EVENT)
        return next((str(line["reason"]) for line in refusals), "")

    def _renew(self) -> Renewal:
        names = [GATEWAY, TELLER]
        old = {name: self._running.serial(name) for name in names}
        watches = {name: _Watch(self._running, name, self._running.current_version(name)) for name in names}
        with (
            self.stage.step("ACM's day comes: it renews, the export runs on the event, both Envoys take it over"),
            SteadyClient(self._gateway(), ANSWER) as asking,
        ):
            for watch in watches.values():
                watch.start()
            self.aws.control("POST", "/_local/acm/day")
            for watch in watches.values():
                watch.join()
            self.stage.detail("served; the client goes on asking")
            wait_until(lambda: asking.requests >= ENOUGH_REQUESTS, f"{ENOUGH_REQUESTS} requests", within_s=60)
        for name, watch in watches.items():
            serials = f"…{old[name][-8:]} → …{watch.serial[-8:]}"
            self.stage.say(f"{name}: {serials}, served {watch.served_after_s:.2f} s after promotion")
        self.stage.say(f"{asking.requests} requests meanwhile, {len(asking.failures)} failed")
        for failure in asking.failures[:3]:
            self.stage.say(f"[red]{failure}[/red]")
        longest = max(watch.served_after_s for watch in watches.values())
        teller = watches[TELLER]
        return Renewal(old[TELLER], teller.serial, round(longest, 2), asking.requests, len(asking.failures))


class _Watch(threading.Thread):
    """Sees when an identity's new version becomes current and when its Envoy serves it."""

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
        try:
            self._watch()
        except BaseException as error:  # noqa: BLE001 -- carried over to the thread that joins
            self._error = error

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        if self._error is not None:
            raise self._error

    def _watch(self) -> None:
        name = self._identity
        wait_until(self._promoted, f"{name}: a new current version", within_s=60, every_s=WATCH_EVERY_S)
        promoted = time.monotonic()
        self.serial = self._running.serial(name)
        task = self._running.task(name)
        wait_until(
            lambda: self.serial in task.served_serials(),
            f"{name}: served by its Envoy",
            within_s=90,
            every_s=WATCH_EVERY_S,
        )
        self.served_after_s = time.monotonic() - promoted

    def _promoted(self) -> bool:
        return self._running.current_version(self._identity) != self._version
