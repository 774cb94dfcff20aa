"""What crosses between a cell and others: ways between tasks and another network, and a role that finds tasks here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from meshcert import naming
from stacks.constructs.containers.task_rights import DISCOVERING, RIGHTS, WHY_ANY_RESOURCE, discovering
from stacks.findings import accept

if TYPE_CHECKING:
    from constructs import Construct

    from meshcert.mesh import Mesh
    from meshcert.mesh.cells.slices import Crossing, RemoteCallers


def open_way(group: ec2.ISecurityGroup, crossing: Crossing) -> None:
    """
    Let connections out of, or into, the tasks of a security group.

    By addresses: a group of another account or region can be named only over a peering of the same region.
    """
    for cidr in crossing.cidrs:
        peer, port = ec2.Peer.ipv4(cidr), ec2.Port.tcp(crossing.port)
        if crossing.inwards:
            group.add_ingress_rule(peer, port, "Callers in another cell")
        elif not group.allow_all_outbound:
            group.add_egress_rule(peer, port, "A backend in another cell")


def discovery_role(scope: Construct, mesh: Mesh, callers: RemoteCallers | None) -> None:
    """
    Make the one role of a cell that other cells may assume: it finds the tasks of the services they call, and no more.

    Trust is in the callers' accounts, as far as the principal is the role of a caller's tasks. As principals, those
    roles would have to be there first, and to stay: IAM keeps a principal's id, not its name (IAM user guide, "AWS JSON
    policy elements: Principal").

    Args:
        mesh: The part that the cell deploys.
        callers: None makes no role.
    """
    if callers is None:
        return
    accounts = iam.CompositePrincipal(*map(iam.ArnPrincipal, callers.principals))
    role = iam.Role(
        scope,
        "RemoteDiscovery",
        role_name=naming.discovery_role(mesh.name, Aws.REGION),
        description=f"meshcert {mesh.name}: callers in other cells find tasks here",
        # One statement, as cdk.json has policies minimized.
        assumed_by=accounts.with_conditions(callers.condition),
        inline_policies={
            RIGHTS: iam.PolicyDocument(
                statements=[discovering("FindCalledServices", mesh.http_name, callers.services), _nothing_else()]
            )
        },
    )
    accept(role, "AwsSolutions-IAM5[Resource::*]", WHY_ANY_RESOURCE)


def _nothing_else() -> iam.PolicyStatement:
    """
    A denial of all else.

    Its sessions are principals of this account, and some policies of resources mean every one of these.
    """
    return iam.PolicyStatement(
        sid="NothingElse", effect=iam.Effect.DENY, not_actions=list(DISCOVERING), resources=["*"]
    )
