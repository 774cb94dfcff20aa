"""Run the demo: ``python -m local.demo``; exit code 0 when everything was proven, 1 when something was not."""

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

from local.cdk import CdkFailed
from local.demo.lost_event import LostEventStory
from local.demo.rollback import RollbackStory
from local.demo.sds import SdsStory
from local.demo.stage import Stage
from local.demo.story import Story
from local.running_aws import LocalAws, LocalAwsFailed
from local.running_mesh import NotSettled

if TYPE_CHECKING:
    from local.demo.scene import Scene

STORIES: dict[str, type[Scene]] = {"": Story, "rollback": RollbackStory, "lost-event": LostEventStory, "sds": SdsStory}
TRUST_BUNDLE = Path("build/demo-trust-bundle.pem")
LOG = Path("build/demo-local-aws.log")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="Deploys the Color mesh to a local AWS on this machine, proves mutual TLS between two real Envoys, "
        "refuses a client without a certificate, and carries a certificate renewal through while a client keeps "
        "asking. Needs no AWS account and no Docker.",
        epilog="Everything it measured is left in build/demo.json, that of a story in build/demo-STORY.json.",
    )
    parser.add_argument(
        "--story",
        choices=[*STORIES],
        default="",
        help="rollback: a version that Envoy cannot open rolls out and goes back; lost-event: the sweep heals it; "
        "sds: the demo itself, with secrets over a socket instead of files",
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
        "--other-clusters",
        type=float,
        default=0.0,
        metavar="TASKS",
        help="have so many tasks of other clusters begin and end each second: AWS sends their events to every rule",
    )
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Play the demo and say how it went; returns the exit code."""
    arguments = _arguments()
    # make forwards Ctrl-C to its children; a SIGTERM must clean up in the same way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    stage = Stage(started=arguments.started)
    kind = STORIES[arguments.story]
    stage.title(kind.TITLE)
    path = Path("build") / ("-".join(filter(None, ("demo", arguments.story))) + ".json")
    folder = Path(tempfile.mkdtemp(prefix="meshcert-demo-"))
    aws = LocalAws(
        folder / "aws",
        certificates=kind.TIMES,
        cpu_quota=arguments.cpu_quota,
        other_clusters_tasks_per_s=arguments.other_clusters,
    )
    try:
        with ExitStack() as running:
            with stage.step("Starting the local AWS (IAM enforced)"):
                aws.__enter__()
            running.callback(_stop, stage, aws)
            stage.say(aws.cpu_shares())
            story = kind(stage, aws, folder)
            result = story.play()
            path.parent.mkdir(exist_ok=True)
            path.write_text(result.to_json() + "\n")
            stage.result(result.claims, path)
            if arguments.keep:
                stage.look_round(aws, story.addresses(), story.trust_bundle(TRUST_BUNDLE))
                with suppress(KeyboardInterrupt):
                    signal.pause()
    except (CdkFailed, LocalAwsFailed, NotSettled) as error:
        path.parent.mkdir(exist_ok=True)
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
