"""
``make verify-aws``: ask the account a mesh is deployed to whether AWS does what we assume of it.

Most of what meshcert relies on is written in AWS's documentation; some of it is not, and only an account can tell. Run
this after ``make deploy`` and again after the first renewal. For each assumption it prints what AWS says there, whether
that confirms or contradicts it, and what to do. A question that has no answer yet, or none with these credentials, is
"cannot tell". ``--before`` asks only about what is yours, a VPC for example, and needs no stack; ``make deploy`` does
so.

It changes nothing and sees no private key. These are all the calls it can make, and the rights it needs:

- acm: DescribeCertificate, GetAccountConfiguration, GetCertificate, ListTagsForCertificate
- acm-pca: DescribeCertificateAuthority, GetCertificate, GetCertificateAuthorityCertificate, ListPermissions, ListTags
- cloudformation: DescribeStacks, GetTemplate, ListStackResources
- cloudwatch: DescribeAlarms, GetMetricStatistics
- dynamodb: GetItem
- ec2: DescribeRouteTables, DescribeSecurityGroups, DescribeSubnets
- ec2: DescribeVpcAttribute, DescribeVpcEndpoints, DescribeVpcs
- ecs: DescribeClusters, DescribeServices, DescribeTaskDefinition, DescribeTasks, ListTasks
- elasticloadbalancing: DescribeTargetGroups, DescribeTargetHealth
- events: DescribeRule, ListTargetsByRule
- iam: SimulateCustomPolicy, SimulatePrincipalPolicy
- kms: DescribeKey, GetKeyPolicy, GetKeyRotationStatus
- lambda: GetFunctionConfiguration, ListEventSourceMappings
- logs: DescribeLogGroups
- route53: GetHostedZone
- s3: GetBucketPublicAccessBlock, GetObject
- scheduler: GetSchedule
- secretsmanager: DescribeSecret, GetResourcePolicy, ListSecretVersionIds
- servicediscovery: DiscoverInstances, GetNamespace, GetService, ListServices
- sns: GetTopicAttributes
- sqs: GetQueueAttributes
- sts: GetCallerIdentity

Exit code: 0 nothing contradicted, 1 something contradicted, 2 wrong command, mesh file or credentials, or not deployed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from meshcert.aws.errors import aws_errors
from meshcert.cli.advice import advice
from meshcert.errors import Fault, MeshcertError, MeshInvalid
from meshcert.mesh import load_mesh
from meshcert.mesh.cells.placing import cells_of_identities
from meshcert.mesh.cells.slices import in_cell, missing_authorities
from meshcert.printable import printable
from tools.aws_checks import BEFORE, CHECKS
from tools.aws_checks.account import Account, signed_in
from tools.aws_checks.deployment import Deployment, NotDeployed
from tools.aws_checks.report import as_json, print_table, report_console
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.mesh import Mesh
    from tools.aws_checks.verdicts import Finding

UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Args:
        arguments: Its arguments; None takes the program's own.

    Returns:
        The exit code: 0, 1 or 2, as the module says.
    """
    options = _parser().parse_args(arguments)
    progress = Console(stderr=True, highlight=False)
    try:
        with aws_errors("sign in", str(options.mesh)):
            deployment = _deployment(options)
    except (MeshcertError, NotDeployed) as error:
        told = advice(error)[0] if isinstance(error, MeshcertError) else str(error)
        progress.print(printable(told), style="red", markup=False, soft_wrap=True)
        return UNUSABLE
    findings: list[Finding] = []
    with progress.status("Asking AWS") as status:
        for check in BEFORE if options.before else CHECKS:
            status.update(check.assumption)
            findings += check.findings(deployment)
    if options.json:
        sys.stdout.write(as_json(deployment, findings) + "\n")
    else:
        print_table(report_console(), deployment, findings)
    wrong = [finding for finding in findings if finding.verdict is Verdict.CONTRADICTED]
    if options.before and not options.json:
        # A deploy ends with these: each on a line of its own, in a log without a terminal as well.
        for each in wrong:
            told = printable(f"- {each.subject}: {each.seen}. {each.remedy}")
            progress.print(told, style="red", markup=False, soft_wrap=True)
    return int(bool(wrong))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make verify-aws",
        description=__doc__,
        epilog="With make: make verify-aws ARGS='--mesh my-mesh.yaml --json'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--mesh", type=Path, default=Path("mesh.yaml"), help="the mesh file that is deployed (mesh.yaml)"
    )
    parser.add_argument("--cell", default="", help="the cell to ask about, of a mesh over several accounts")
    parser.add_argument("--profile", help="a profile of your AWS configuration; else the current credentials")
    parser.add_argument("--region", help="where the mesh is deployed; else the current credentials' region")
    parser.add_argument(
        "--before", action="store_true", help="before a first deploy: ask only about what the mesh file says is yours"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser


def _deployment(options: argparse.Namespace) -> Deployment:
    mesh, cell = load_mesh(options.mesh), options.cell
    if mesh.cells or cell:
        _check_cell(mesh, cell, str(options.mesh), is_before=options.before)
        options.region = options.region or mesh.cells[cell].region
        mesh = in_cell(mesh, cell)
    client, region = signed_in(options.profile, options.region)
    look = Deployment.planned if options.before else Deployment.find
    return look(mesh, Account(client), region, dt.datetime.now(dt.UTC), cell)


def _check_cell(mesh: Mesh, cell: str, file: str, *, is_before: bool) -> None:
    """Raises MeshInvalid if a mesh has no such cell, or one of which nothing can be asked."""
    # One that makes nothing but CAs has no functions to ask about, but it may name what is yours.
    own = set(mesh.cells) if is_before else set()
    own |= {each for cells in cells_of_identities(mesh).values() for each in cells}
    own |= {service.cell for service in mesh.services.values()}
    can_be_asked = [name for name in mesh.cells if name in own and not missing_authorities(mesh, name)]
    if cell not in can_be_asked:
        problem = f"there is nothing to ask about cell {cell!r}" if cell else "each cell is deployed to its own account"
        remedy = f"Name one with --cell, and take its account's credentials: {', '.join(can_be_asked)}"
        if not mesh.cells:
            remedy = "Leave --cell out: this mesh file has no cells"
        elif not can_be_asked:
            remedy = "Deploy the cell that makes the CAs first, and write what it prints into the mesh file"
        raise MeshInvalid(file, (Fault("cells", problem, remedy),))


if __name__ == "__main__":
    sys.exit(main())
