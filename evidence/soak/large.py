"""A large mesh in shards, really deployed: all of its identities renewed at once, each once, at AWS's own rates."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import yaml

from evidence.fixtures.large_mesh import mesh_of_gateways
from evidence.fixtures.process_memory import family, proportional_mb
from evidence.lifetimes.fleet import failed_calls, functions_log
from evidence.soak.report import Outcome
from local.aws.config import CertificateTimes
from local.cdk import CdkCli
from local.gateway_client import Gateway, SteadyClient
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from meshcert.mesh import load_mesh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.running_mesh import Task
    from meshcert.mesh import Mesh

IDENTITIES, SERVICES = 150, 100
"""Of the mesh; one service in ten has an application beside its Envoy, and all have one task."""
CLIENTS = 5
"""Gateways that somebody keeps asking while certificates are renewed."""
ANSWER = "yellow"
_PAUSE_S, _KEPT_S = 0.5, 300.0
_LOOK_EVERY_S, _TELL_EVERY_S = 3.0, 60.0
# Certificates 340 days old: past the day on which ACM renews, before any threshold of ours.
_TIMES = CertificateTimes(born_days_ago=340)
_ALL_WITHIN_S, _EACH_WITHIN_S = 600.0, 15.0
"""What deploy and renewal may take, besides and for each identity: ticks come each minute, two cores run it all."""


def renew_large_mesh(
    folder: Path, say: Callable[[str], object], identities: int = IDENTITIES, services: int = SERVICES
) -> Outcome:
    """
    Deploy a mesh in shards to a local AWS, have ACM renew everything on one day, and count.

    Args:
        folder: For the mesh file, the cloud assembly and the local AWS.
        say: Takes a line about each step.
        identities: All of them; each service presents one.
        services: How many, each of one task.

    Raises:
        local.cdk.CdkFailed: If it cannot be synthesised.
        local.assembly.DeploymentFailed: If a stack cannot be deployed.
        local.running_mesh.NotSettled: If deploy or renewal are not proven in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump(mesh_of_gateways(identities, services), sort_keys=False))
    mesh = load_mesh(file)
    say(f"{identities} identities, {services} services, {len(mesh.shards)} shards")
    with LocalAws(folder / "aws", certificates=_TIMES) as aws:
        began = time.monotonic()
        aws.deploy(CdkCli(aws.environment()).synth(file, folder / "assembly"))
        run = _Run(mesh, RunningMesh(aws, mesh.name, aws.resolve), say)
        run.settle()
        deployed_s = time.monotonic() - began
        mb_a_task = _memory_mb(aws.pid) / services
        say(f"deployed and proven in {deployed_s:.0f} s; {mb_a_task:.0f} MB a task")
        run.ask_all("before")
        renewed = run.renew()
        run.ask_all("after")
    return Outcome(
        n=identities,
        faults={case: tuple(sentences) for case, sentences in run.faults.items()},
        figures={
            "services": services,
            "shards": len(mesh.shards),
            "deployed_s": round(deployed_s),
            "mb_a_task": round(mb_a_task, 1),
            **renewed,
        },
    )


@dataclass(frozen=True)
class _Seen:
    """What an identity has: its current version, how many its secret has held, and the serial number at ACM."""

    version: str
    versions: int
    serial: str


@dataclass
class _Run:
    """The mesh, deployed."""

    mesh: Mesh
    running: RunningMesh
    say: Callable[[str], object]
    faults: dict[str, list[str]] = field(default_factory=dict)
    """Sentences by case."""
    _tasks: dict[str, Task] = field(default_factory=dict)
    _gateways: dict[str, Gateway] = field(default_factory=dict)
    _before: dict[str, _Seen] = field(default_factory=dict)

    def settle(self) -> None:
        """Wait for healthy tasks, and until what the deploy published is proven."""
        self.running.wait_until_steady(list(self.mesh.services), within_s=self._within_s)
        self.say("every service is steady")
        self._tasks = {service: self.running.task(service) for service in self.mesh.services}
        self._gateways = {name: self._gateway(name) for name in self.mesh.virtual_gateways}
        self._before = self._all_proven()

    def ask_all(self, when: str) -> None:
        """Ask every gateway once: its node stands in another shard."""
        for name, gateway in self._gateways.items():
            try:
                with gateway.client() as client:
                    said = gateway.said(gateway.ask(client))
            except (httpx.HTTPError, OSError) as error:
                said = repr(error)
            if said != ANSWER:
                self._add(name, f"{when} the renewal it answered {said}")

    def renew(self) -> dict[str, int | Mapping[str, int]]:
        """ACM's day, until every new version is proven, while clients keep asking; returns the figures."""
        aws, since, began = self.running.aws, time.time(), time.monotonic()
        asked = list(self._gateways.items())[:: max(1, len(self._gateways) // CLIENTS)][:CLIENTS]
        clients = [
            SteadyClient(gateway, ANSWER, aws.requests_seen, _PAUSE_S, name=name, kept_s=_KEPT_S)
            for name, gateway in asked
        ]
        aws.control("PUT", "/_local/quotas", {"on": True})
        with ExitStack() as asking:
            for client in clients:
                asking.enter_context(client)
            aws.control("POST", f"/_local/acm/day?account={aws.account}")
            after = self._all_proven()
            took_s = time.monotonic() - began
        apis = aws.control("GET", "/_local/quotas")["apis"]
        aws.control("PUT", "/_local/quotas", {"on": False})
        self.say(f"renewed and proven in {took_s:.0f} s")
        if failed := failed_calls(functions_log(self.running, since)):
            self._add("calls", f"{failed} failed after the SDK's own tries")
        for client in clients:
            for failure in client.failures:
                self._add(client.name, failure)
        self._judge(after)
        return {
            "renewed_s": round(took_s),
            "throttled": failed,
            "refused_at_first": {api: count["throttled"] for api, count in apis.items() if count["throttled"]},
            "calls": {api: count["calls"] for api, count in apis.items()},
            "requests": sum(client.requests for client in clients),
            "failed_requests": sum(len(client.failures) for client in clients),
        }

    def _all_proven(self) -> dict[str, _Seen]:
        """
        Wait until another version than before is proven for every identity.

        The mesh's own schedules have them looked at.
        """
        waiting, told = list(self.mesh.identities), time.monotonic()

        def proven() -> bool:
            nonlocal waiting, told
            waiting = [name for name in waiting if self.running.proven_version(name) in {"", self._version(name)}]
            if time.monotonic() > told + _TELL_EVERY_S:
                self.say(f"{len(waiting)} identities are not proven yet")
                told = time.monotonic()
            return not waiting

        wait_until(proven, "every identity proven", within_s=self._within_s, every_s=_LOOK_EVERY_S)
        return {name: self._seen(name) for name in self.mesh.identities}

    def _judge(self, after: Mapping[str, _Seen]) -> None:
        """Each identity has one new certificate and one new version, which the task of before serves."""
        for name, before in self._before.items():
            new = after[name].versions - before.versions
            if new != 1 or after[name].serial == before.serial:
                self._add(name, f"{new} new versions, certificate {before.serial}, then {after[name].serial}")
            if name in self._tasks:
                served = self._tasks[name].served_serials()
                if served != {after[name].serial}:
                    self._add(name, f"serves {', '.join(sorted(served))} instead of {after[name].serial}")

    @property
    def _within_s(self) -> float:
        return _ALL_WITHIN_S + _EACH_WITHIN_S * len(self.mesh.identities)

    def _seen(self, identity: str) -> _Seen:
        running = self.running
        return _Seen(running.current_version(identity), len(running.published(identity)), running.serial(identity))

    def _version(self, identity: str) -> str:
        return self._before[identity].version if identity in self._before else ""

    def _gateway(self, name: str) -> Gateway:
        """A gateway, at its task's own address."""
        port, identity = self.mesh.virtual_gateways[name].listeners[0].port_mapping.port, self.mesh.identities[name]
        roots = self.running.trust_bundle(identity.hierarchy)
        return Gateway(self._tasks[name].address, port, str(identity.dns_names[0]), roots)

    def _add(self, case: str, sentence: str) -> None:
        self.faults.setdefault(case, []).append(sentence)


def _memory_mb(of: int) -> float:
    """What all tasks of a local AWS hold: each Envoy and each Python of its container, shared pages by their share."""
    held = 0.0
    for pid in family(of):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"entrypoint" in command or command.startswith(b"envoy"):
                held += proportional_mb(pid)
    return held
