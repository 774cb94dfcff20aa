"""
Benchmark ``slow_start``: rotations by ``redeploy`` of a service whose application takes 20 seconds to listen.

The Color mesh with two tellers on a local AWS, and a client that asks the gateway all the time: each rotation is a new
certificate of ACM's that the renewal function publishes, deploys and proves.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evidence.bench.report import circumstances
from local.aws.config import CertificateTimes
from local.cdk import ROOT, CdkCli
from local.demo.scene import ANSWER, GATEWAY, MUTUAL, TELLER
from local.gateway_client import Gateway, SteadyClient
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking
from meshcert import naming
from meshcert.lifecycle.policy import Policy

if TYPE_CHECKING:
    from rich.console import Console

NAME = "slow_start"
SUMMARY = "three rotations of a service whose application takes 20 s to listen, under load: minutes"
STARTS_AFTER_S = 20.0
ROTATIONS = 3
LEAST_REQUESTS = 1000
_TELLER = ROOT / "examples" / "color" / "colorteller"
_HASTE = Policy(look_again_s=1.0, shortest_between_renewals_s=0.0)


@dataclass(frozen=True)
class Rotated:
    """
    What a client noticed of rotations.

    Args:
        failures: What it got instead of an answer, in order; then what came to the application twice.
        counted: Requests that the application counted.
        twice: How many of them came more than once.
        rotations: Versions that were published, deployed and proven meanwhile.
        took_s: From the first request to the last, seconds.
    """

    requests: int
    failures: tuple[str, ...]
    counted: int
    twice: int
    rotations: int
    took_s: float


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Measure, print what came of it, and give the figures for the report.

    Args:
        rounds: Not used: three rotations take minutes.
        console: For the result.

    Raises:
        local.assembly.DeploymentFailed: If the mesh cannot be deployed.
        local.running_mesh.NotSettled: If a rotation does not come to its end.
    """
    del rounds
    load, began = os.getloadavg()[0], time.monotonic()
    console.print(f"Deploying two tasks that listen after {STARTS_AFTER_S:g} s, and rotating them: minutes")
    with tempfile.TemporaryDirectory(prefix="meshcert-bench-") as folder:
        seen = rotate(Path(folder), STARTS_AFTER_S, ROTATIONS, LEAST_REQUESTS)
    met = "met" if not seen.failures and seen.requests >= LEAST_REQUESTS else "MISSED"
    console.print(
        f"goal: none failed of at least {LEAST_REQUESTS} requests: [bold]{met}[/bold] ({len(seen.failures)} of "
        f"{seen.requests}, {seen.rotations} rotations)",
        soft_wrap=True,
    )
    return {
        "requests": seen.requests,
        "failed": len(seen.failures),
        "twice": seen.twice,
        "rotations": seen.rotations,
        "starts_after_s": STARTS_AFTER_S,
        "took_s": round(time.monotonic() - began, 1),
        **circumstances(load),
    }


def rotate(folder: Path, starts_after_s: float, rotations: int, requests: int) -> Rotated:
    """
    Deploy the mesh, and rotate the tellers' certificate while a client asks.

    Args:
        folder: For the mesh file, the image, the cloud assembly and the local AWS.
        starts_after_s: How long the application takes to listen, seconds.
        requests: How many there are at least.

    Raises:
        local.assembly.DeploymentFailed: If the mesh cannot be deployed.
        local.running_mesh.NotSettled: If a rotation does not come to its end.
    """
    patience_s = 120.0 + 4 * starts_after_s
    with LocalAws(folder / "aws", certificates=CertificateTimes(born_days_ago=340)) as aws:
        aws.deploy(CdkCli(aws.environment()).synth(_mesh_file(folder, starts_after_s), folder / "assembly"))
        mesh = RunningMesh(aws, "color", aws.resolve)
        mesh.wait_until_steady([GATEWAY, TELLER], within_s=patience_s)
        _make_haste(mesh)
        gateway = Gateway(
            mesh.gateway_address(GATEWAY), 8443, f"{GATEWAY}.mtls.svc.cluster.local", mesh.trust_bundle(GATEWAY)
        )
        with Ticking(aws, mesh.name, sweep_every_s=2.0):
            wait_until(lambda: mesh.proven_version(TELLER), "the first version proven", within_s=patience_s)
            began = time.monotonic()
            with SteadyClient(gateway, ANSWER, aws.requests_seen, pause_s=0.05) as client:
                for _ in range(rotations):
                    _rotate_once(mesh, patience_s)
                wait_until(lambda: client.requests >= requests, f"{requests} requests", within_s=patience_s)
        return Rotated(
            client.requests,
            tuple(client.failures),
            client.counted,
            client.twice,
            rotations,
            time.monotonic() - began,
        )


def slow_application(folder: Path, starts_after_s: float) -> Path:
    """The folder of an image like the Color app's teller, which sleeps before it listens."""
    image = folder / "slow"
    image.mkdir()
    (image / "Dockerfile").write_text((_TELLER / "Dockerfile").read_text())
    program = (_TELLER / "app.py").read_text()
    start = "    with Server(address, Teller) as server:\n"
    assert program.count(start) == 1
    (image / "app.py").write_text(program.replace(start, f"    threading.Event().wait({starts_after_s})\n{start}"))
    return image


def _mesh_file(folder: Path, starts_after_s: float) -> Path:
    image = slow_application(folder, starts_after_s)
    mesh = yaml.safe_load(MUTUAL.read_text())
    mesh["services"][TELLER] |= {"desired_count": 2, "rotation": "redeploy"}
    mesh["services"][TELLER]["application"]["image"] = str(image)
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump(mesh, sort_keys=False))
    return file


def _make_haste(mesh: RunningMesh) -> None:
    """A renewal function that looks again after a second instead of a minute."""
    functions, name = mesh.client("lambda"), naming.function(mesh.name, "renewal")
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": before | _HASTE.to_environ()})


def _rotate_once(mesh: RunningMesh, patience_s: float) -> None:
    """ACM renews the teller's certificate; returns when every task serves it and it is proven."""
    before, old = mesh.current_version(TELLER), {task.arn for task in mesh.tasks(TELLER)}
    mesh.client("acm").renew_certificate(CertificateArn=mesh.certificate(TELLER)["CertificateArn"])
    wait_until(lambda: mesh.current_version(TELLER) != before, "a new version", within_s=patience_s)
    wait_until(lambda: mesh.proven_version(TELLER), "the new version proven", within_s=patience_s)
    assert old.isdisjoint(task.arn for task in mesh.tasks(TELLER))
