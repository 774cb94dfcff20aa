"""The demo's own story: one-way TLS, mutual TLS, a refusal, a renewal that runs through both kinds of rotation."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from local.demo.renewal import renew_under_load
from local.demo.result import DemoResult, Refused, Renewal, Seconds
from local.demo.scene import ANSWER, GATEWAY, ONE_WAY, TELLER, Scene
from local.demo.undeclared import refusals
from local.gateway_client import SteadyClient
from local.running_mesh import wait_until
from local.tls_client import attempt

if TYPE_CHECKING:
    from local.running_mesh import TlsCounters


class Story(Scene):
    """The story of ``make demo``."""

    TITLE = "meshcert demo: private-CA certificates inside real Envoys, on this machine, without AWS"

    def play(self) -> DemoResult:
        """Play all of it; raises when a step does not get through."""
        began = time.monotonic()
        # One after the other, beside everything else: a synthesis keeps one processor busy.
        with ThreadPoolExecutor(max_workers=1) as synthesis:
            one_way = synthesis.submit(self.cdk.synth, ONE_WAY, self.folder / "one-way")
            mutual = synthesis.submit(self.cdk.synth, self.MESH, self.folder / "mutual")
            with self.stage.step("Bootstrapping the account and synthesising the app, with the real CDK"):
                self.cdk.bootstrap()
                assembly = one_way.result()
            self.deploy(assembly, "Deploying with one-way TLS: CAs, certificates, export function, two services")
            deployed_s = time.monotonic() - began
            _, one_way_counters = self._ask("one-way TLS")
            self.deploy(mutual.result(), "Deploying the same mesh with mutual TLS over it")
        refused = self._refuse()
        # The load balancer still sends requests to the gateway's tasks of before, which have no certificate to show.
        with self.stage.step("Both identities settle; the gateway's tasks without a client certificate drain"):
            self.all_proven(self.mesh.identities)
            gone = partial(self.running.none_is_stopping, GATEWAY)
            wait_until(gone, "the gateway's tasks of before gone", within_s=self.patience_s)
        answer, mutual_counters = self._ask("mutual TLS")
        renewal = self._renew()
        seconds = Seconds(round(self.stage.install_s, 1), round(deployed_s, 1), round(self.stage.total_s, 1))
        return DemoResult(answer, one_way_counters, mutual_counters, refused, renewal, seconds)

    def _ask(self, manner: str) -> tuple[str, TlsCounters]:
        """One request, with the teller's own counters read before and after."""
        with self.stage.step(f"One request, client → load balancer → gateway → teller, {manner}"):
            teller = self.running.task(TELLER)
            before = teller.tls_counters()
            gateway = self.gateway()
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
            listener = self.mesh.virtual_nodes[TELLER].listeners[0]
            name = str(self.mesh.identities[TELLER].dns_names[0])
            one = attempt(
                self.running.task(TELLER).address,
                listener.port_mapping.port,
                name,
                material=None,
                request=f"GET /color HTTP/1.1\r\nHost: {name}\r\n\r\n".encode(),
            )
            refusal = refusals(self.running, TELLER, [one.client]).get(one.client)
        reason = refusal.reason if refusal else ""
        self.stage.say(f"refused; the teller's access log says why: {reason}")
        return Refused(int(one.answer.split()[1]) if one.answer else None, reason)

    def _renew(self) -> Renewal:
        asking = SteadyClient(self.gateway(), ANSWER, self.aws.requests_seen)
        renewed = renew_under_load(
            self,
            [asking],
            before="Both identities are settled",
            text="ACM's day comes: it renews; export, publication, the gateway reloads, the teller is redeployed",
        )
        teller = renewed[TELLER]
        return Renewal(
            old_serial=teller.old_serial,
            new_serial=teller.serial,
            served_after_s=renewed[GATEWAY].served_after_s,
            redeployed_after_s=teller.served_after_s,
            new_task=bool(teller.new_tasks),
            proven=all(one.settled for one in renewed.values()),
            requests=asking.requests,
            failed=len(asking.failures),
            counted=asking.counted,
            twice=asking.twice,
        )
