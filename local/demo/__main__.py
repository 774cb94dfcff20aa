"""Run the demo: ``python -m local.demo``; exit code 0 if everything was proven, 1 if not, 2 for wrong arguments."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local.aws.config import KIND, UNKIND, USUAL
from local.cdk import CdkFailed
from local.demo.cells import CellsProof
from local.demo.lost_event import LostEventStory
from local.demo.proof import Proof
from local.demo.reach import commands, ways_to
from local.demo.rollback import RollbackStory
from local.demo.sds import SdsStory
from local.demo.stage import Stage
from local.demo.story import Story
from local.running_aws import LocalAws, LocalAwsFailed
from local.running_mesh import NotSettled
from meshcert.errors import Fault, MeshInvalid
from meshcert.mesh import load_mesh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.demo.scene import Scene

STORIES: dict[str, type[Scene]] = {"rollback": RollbackStory, "lost-event": LostEventStory, "sds": SdsStory}
BUILD = Path("build")
TRUST_BUNDLE = BUILD / "demo-trust-bundle.pem"
LOG = BUILD / "demo-local-aws.log"
FAULTS = 2
"""Exit code for a mesh file with faults, as for other wrong arguments."""


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="Deploys the Color mesh to a local AWS on this machine, proves mutual TLS between two real Envoys, "
        "refuses a client without a certificate, and carries a certificate renewal through while a client keeps "
        "asking. Needs no AWS account and no Docker.",
        epilog="Everything it measured is left in build/demo.json, that of a story in build/demo-STORY.json, that of a "
        "mesh file in build/demo-STEM.json.",
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--story",
        choices=[*STORIES],
        help="rollback: a version that Envoy cannot open rolls out and goes back; lost-event: the sweep heals it; "
        "sds: the demo itself, with secrets over a socket instead of files",
    )
    kinds.add_argument(
        "--mesh",
        type=Path,
        metavar="FILE",
        help="a mesh file: every declared pair talks, every other is refused, every identity is renewed under load",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave it running and print how to look round; Ctrl-C ends it"
    )
    parser.add_argument(
        "--cpu-quota",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="give no task more CPU than its units, as Fargate does, where cgroups permit that",
    )
    parser.add_argument(
        "--traffic-scale",
        type=float,
        default=USUAL.scale,
        metavar="FACTOR",
        help="how much of AWS's times it takes until callers hear of a task, and until a load balancer forgets one "
        "(default %(default)s); 0 spares callers more than AWS does",
    )
    parser.add_argument(
        "--other-clusters",
        type=float,
        default=0.0,
        metavar="TASKS",
        help="have so many tasks of other clusters begin and end each second: AWS sends their events to every rule",
    )
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    return parser.parse_args(words)


def figures_of(arguments: argparse.Namespace) -> Path:
    """The file that the figures of a run are left in."""
    name = arguments.mesh.stem if arguments.mesh else arguments.story
    return BUILD / ("-".join(filter(None, ("demo", name))) + ".json")


def _proof_of(path: Path) -> type[Proof]:
    """The proof of a mesh file. Raises MeshInvalid if it has faults, or if its tasks wait for what only AWS has."""
    mesh = load_mesh(path)
    faults = tuple(
        Fault(
            f"services.{name}.proxy.volumes",
            "the local AWS has no volumes, so its certificates would never come",
            "Name an identity and a hierarchy in their places, in a copy for the demo",
        )
        for name, service in mesh.services.items()
        if service.proxy.volumes
    )
    if faults:
        raise MeshInvalid(str(path), faults)
    return CellsProof if mesh.cells else Proof


def main(words: Sequence[str] | None = None) -> int:
    """Play the demo and say how it went; returns the exit code."""
    arguments = _arguments(words)
    stage = Stage(started=arguments.started)
    proof = Proof
    if arguments.mesh:
        try:
            proof = _proof_of(arguments.mesh)
        except MeshInvalid as error:
            stage.title(proof.TITLE)
            stage.refused(error)
            return FAULTS
    kind = proof if arguments.mesh else STORIES.get(arguments.story, Story)
    stage.title(kind.TITLE)
    # A job in the background of a script inherits Ctrl-C as ignored, and would hand that on to all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A SIGTERM must clean up in the same way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    path = figures_of(arguments)
    path.parent.mkdir(exist_ok=True)
    # Those of another run are not those of one that stops.
    path.unlink(missing_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="meshcert-demo-"))
    aws = LocalAws(
        folder / "aws",
        certificates=kind.TIMES,
        cpu_quota=arguments.cpu_quota,
        other_clusters_tasks_per_s=arguments.other_clusters,
        traffic=UNKIND.scaled(arguments.traffic_scale) if arguments.traffic_scale else KIND,
    )
    try:
        with ExitStack() as running:
            with stage.step("Starting the local AWS (IAM enforced)"):
                aws.__enter__()
                # Within the step: whoever reads that it is done may press Ctrl-C at once.
                running.callback(_stop, stage, aws)
            stage.say(aws.cpu_shares())
            scene = proof(stage, aws, folder, arguments.mesh) if arguments.mesh else kind(stage, aws, folder)
            result = scene.play()
            path.write_text(result.to_json() + "\n")
            stage.result(result.claims, path)
            stage.ways(ways_to(scene.mesh))
            if arguments.keep:
                stage.look_round(commands(scene.mesh, scene.running, TRUST_BUNDLE))
                with suppress(KeyboardInterrupt):
                    signal.pause()
    except (CdkFailed, LocalAwsFailed, NotSettled) as error:
        shutil.copy(aws.log_path, LOG)
        stage.failed(error, LOG)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if result.proven else 1


def _stop(stage: Stage, aws: LocalAws) -> None:
    with stage.step("Stopping it and cleaning up"):
        aws.__exit__(None, None, None)


if __name__ == "__main__":
    sys.exit(main())
