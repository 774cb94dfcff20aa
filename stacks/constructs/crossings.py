"""Ways between tasks of one cell and another cell's network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2

if TYPE_CHECKING:
    from meshcert.mesh.cells.slices import Crossing


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
