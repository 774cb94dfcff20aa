"""The demo's own story: one-way TLS, mutual TLS, a refusal, a renewal that runs through both kinds of rotation."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from local.demo.result import DemoResult, Refused, Renewal, Seconds
from local.demo.scene import ANSWER, GATEWAY, ONE_WAY, TELLER, Scene, Watch
from local.gateway_client import SteadyClient, ask_without_certificate
from local.running_mesh import TlsCounters, wait_until
from local.ticking import Ticking
from meshcert.envoy.access_log import REFUSED_EVENT


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
        answer, mutual_counters = self._ask("mutual TLS")
        refused = self._refuse()
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
            status, _ = ask_without_certificate(
                self.running.task(TELLER).address,
                listener.port_mapping.port,
                str(self.mesh.identities[TELLER].dns_names[0]),
            )
            reason = wait_until(self._refusal, "the refusal in the teller's access log", within_s=15)
        self.stage.say(f"refused; the teller's access log says why: {reason}")
        return Refused(status, reason)

    def _refusal(self) -> str:
        refusals = (line for line in self.running.log_lines(TELLER) if line.get("event") == REFUSED_EVENT)
        return next((str(line["reason"]) for line in refusals), "")

    def _renew(self) -> Renewal:
        names = [GATEWAY, TELLER]
        with self.stage.step("Both identities settle after the deploys"):
            versions = {name: self.proven(name) for name in names}
        old = {name: self.running.serial(name) for name in names}
        tasks = {name: self.running.task(name).arn for name in names}
        watches = {name: Watch(self.running, name, versions[name]) for name in names}
        text = "ACM's day comes: it renews; export, publication, the gateway reloads, the teller is redeployed"
        with (
            self.stage.step(text),
            Ticking(self.aws, self.mesh.name),
            SteadyClient(self.gateway(), ANSWER) as asking,
        ):
            for watch in watches.values():
                watch.start()
            self.acm_renews()
            for watch in watches.values():
                watch.join()
            self.stage.detail("served; the client goes on asking")
            self.wait_for_enough(asking)
            settled = {name: self.proven(name) for name in names}
        for name, watch in watches.items():
            serials = f"…{old[name][-8:]} → …{watch.serial[-8:]}"
            task = "the same task" if self.running.task(name).arn == tasks[name] else "a new task"
            self.stage.say(f"{name}: {serials}, served by {task} {watch.served_after_s:.2f} s after promotion")
        self.stage.say(f"{asking.requests} requests meanwhile, {len(asking.failures)} failed")
        for failure in asking.failures[:3]:
            self.stage.say(f"[red]{failure}[/red]")
        return Renewal(
            old_serial=old[TELLER],
            new_serial=watches[TELLER].serial,
            served_after_s=round(watches[GATEWAY].served_after_s, 2),
            redeployed_after_s=round(watches[TELLER].served_after_s, 2),
            new_task=self.running.task(TELLER).arn != tasks[TELLER],
            proven=all(settled[name] != versions[name] for name in names),
            requests=asking.requests,
            failed=len(asking.failures),
        )
