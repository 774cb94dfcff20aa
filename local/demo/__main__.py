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

from local.cdk import CdkFailed
from local.demo.stage import Stage
from local.demo.story import Story
from local.lab import LocalAws, LocalAwsFailed
from local.running_mesh import NotSettled

RESULT = Path("build/demo.json")
TRUST_BUNDLE = Path("build/demo-trust-bundle.pem")
LOG = Path("build/demo-local-aws.log")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="Deploys the Color mesh to a local AWS on this machine, proves mutual TLS between two real Envoys, "
        "refuses a client without a certificate, and carries a certificate renewal through while a client keeps "
        "asking. Needs no AWS account and no Docker.",
        epilog="Everything it measured is left in build/demo.json.",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave it running and print how to look round; Ctrl-C ends it"
    )
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Play the demo and say how it went; returns the exit code."""
    arguments = _arguments()
    # make forwards Ctrl-C to its children; a SIGTERM must clean up in the same way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    stage = Stage(started=arguments.started)
    stage.title("meshcert demo: private-CA certificates inside real Envoys, on this machine, without AWS")
    folder = Path(tempfile.mkdtemp(prefix="meshcert-demo-"))
    aws = LocalAws(folder / "aws", certificates=Story.TIMES)
    try:
        with ExitStack() as running:
            with stage.step("Starting the local AWS (IAM enforced)"):
                aws.__enter__()
            running.callback(_stop, stage, aws)
            story = Story(stage, aws, folder)
            result = story.play()
            RESULT.parent.mkdir(exist_ok=True)
            RESULT.write_text(result.to_json() + "\n")
            stage.result(result, RESULT)
            if arguments.keep:
                stage.look_round(aws, story.addresses(), story.trust_bundle(TRUST_BUNDLE))
                with suppress(KeyboardInterrupt):
                    signal.pause()
    except (CdkFailed, LocalAwsFailed, NotSettled) as error:
        RESULT.parent.mkdir(exist_ok=True)
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
