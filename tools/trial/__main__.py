"""
``make trial``: the first hour on AWS, in one command.

Deploys the smallest mesh (examples/trial.yaml: the Color app, two certificates straight from AWS Private CA under one
short-lived CA) to the account and region of your credentials, waits until every task serves its certificate, asks AWS
what meshcert assumes of it, has both certificates renewed, asks again, and takes everything away, whatever happened
meanwhile. It says beforehand what it costs and what will stay, and asks.

What it found is printed, line by line of docs/aws-unconfirmed.md, and written to build/trial.json.

It needs an administrator's credentials, an account that was bootstrapped once (make cdk ARGS=bootstrap), and Docker.

Exit code: 0 every step succeeded and nothing was contradicted, 1 not so, 2 it did not begin.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from meshcert.aws.errors import aws_errors
from meshcert.cli.advice import advice
from meshcert.cli.costs.issuing import HOURS, SHORT_LIVED_CERTIFICATE
from meshcert.cli.costs.offline import offline_plan
from meshcert.errors import IdentityMissing, MeshcertError
from meshcert.mesh import load_mesh
from meshcert.naming import BOOTSTRAP_QUALIFIER
from meshcert.printable import printable
from tools.aws_checks.account import Account, signed_in
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.report import report_console
from tools.aws_checks.verdicts import Verdict
from tools.trial.assumptions import latest
from tools.trial.removal import Removal
from tools.trial.report import document, show
from tools.trial.steps import MESH_FILE, Trial, with_own_architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshcert.mesh import Mesh

REPORT = Path("build") / "trial.json"
UNUSABLE = 2
_BOOTSTRAP_VERSION = f"/cdk-bootstrap/{BOOTSTRAP_QUALIFIER}/version"
_STAYS = (
    "the CA and the secrets' key, for the 7 days in which AWS lets one restore them, at no cost",
    "the functions and the images of this deploy in the bucket and the repository of the CDK's bootstrap",
    "AWS's service-linked roles of ECS and load balancers; what CloudWatch has measured and CloudTrail recorded",
)


class NotBegun(Exception):
    """A trial cannot begin; the message says why, and what to do."""


@dataclass(frozen=True)
class _Place:
    """
    Where a trial takes place.

    Args:
        client: Makes the boto3 client of a service.
    """

    mesh: Mesh
    client: Callable[[str], Any]
    region: str

    @classmethod
    def signed_in(cls) -> _Place:
        with aws_errors("sign in", "your credentials"):
            client, region = signed_in(None, None)
        return cls(load_mesh(MESH_FILE), client, region)

    def planned(self) -> Deployment:
        return Deployment.planned(self.mesh, Account(self.client), self.region, dt.datetime.now(dt.UTC))

    def deployed(self) -> Deployment:
        return Deployment.find(self.mesh, Account(self.client), self.region, dt.datetime.now(dt.UTC))

    def require_bootstrap(self) -> None:
        """Raises NotBegun if ``cdk bootstrap`` has never been here."""
        try:
            with aws_errors("ssm:GetParameter", _BOOTSTRAP_VERSION):
                self.client("ssm").get_parameter(Name=_BOOTSTRAP_VERSION)
        except IdentityMissing as error:
            raise NotBegun(
                f"Region {self.region} of this account has no CDK bootstrap. "
                "Run make cdk ARGS=bootstrap once, as an administrator"
            ) from error


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(words)
    tell = partial(Console(stderr=True, highlight=False, soft_wrap=True).print, markup=False)
    try:
        place = _Place.signed_in()
        context = with_own_architecture(options.context)
        removal = Removal(place.mesh.name, place.client, tell)
        trial = Trial(place.mesh, place.region, place.deployed, removal, context, tell)
        _require_consent(options, place, trial, tell)
    except (NotBegun, MeshcertError) as error:
        tell(printable(advice(error)[0] if isinstance(error, MeshcertError) else str(error)), style="red")
        return UNUSABLE
    if options.tear_down:
        return int(not trial.tear_down())
    succeeded = trial.run()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(document(trial, place.region, dt.datetime.now(dt.UTC).isoformat(timespec="seconds")))
    console = report_console()
    show(console, trial)
    console.print(f"\nEverything is in {REPORT}")
    contradicted = any(finding.verdict is Verdict.CONTRADICTED for finding in latest(trial.runs))
    return int(contradicted or not succeeded)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make trial",
        description=__doc__,
        epilog="With make: make trial ARGS=--yes; make trial ARGS=--tear-down",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--yes", action="store_true", help="do not ask, for scripts")
    parser.add_argument("--tear-down", action="store_true", help="only take away what an earlier trial has left")
    parser.add_argument(
        "-c",
        "--context",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="context of the CDK app, as for make deploy (architecture: this machine's)",
    )
    return parser


def _require_consent(options: argparse.Namespace, place: _Place, trial: Trial, tell: Callable[[str], None]) -> None:
    """Raises NotBegun if nothing can be made or taken away here, or nobody wants that."""
    # That one would be deployed, and the trial's own taken away.
    if any(each.startswith("mesh=") for each in options.context):
        raise NotBegun(f"A trial deploys {MESH_FILE.name} and no other mesh. Take make deploy for yours")
    where = f"account {place.planned().account_id}, {place.region}"
    stacks = trial.removal.stacks()
    if options.tear_down:
        if not stacks:
            raise NotBegun(f"There is nothing of {place.mesh.name} in {where}")
        tell(f"This takes away {', '.join(stacks)} in {where}, with their CA, keys and secrets.")
    else:
        if stacks:
            raise NotBegun(
                f"{', '.join(stacks)}: an earlier trial's, in {where}. Run make trial ARGS=--tear-down first"
            )
        place.require_bootstrap()
        for line in _announced(place.mesh, where):
            tell(line)
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise NotBegun("Nobody is here to say yes. Give ARGS=--yes")
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise NotBegun("Nothing was touched")


def _announced(mesh: Mesh, where: str) -> list[str]:
    plan = offline_plan(mesh)
    an_hour = (plan.month.dollars + plan.workload_dollars) / HOURS
    certificates = 2 * len(mesh.identities)
    return [
        f"This deploys the mesh {mesh.name} to {where}, renews its certificates, and takes it away.",
        f"It takes about an hour. It costs about ${an_hour:.2f} an hour, the CA's share of its month included, and",
        f"${certificates * SHORT_LIVED_CERTIFICATE:.2f} for {certificates} certificates (list prices of us-east-1).",
        "It needs no other name, network or service in the account, and touches none. What will stay:",
        *(f"- {each}" for each in _STAYS),
    ]


if __name__ == "__main__":
    sys.exit(main())
