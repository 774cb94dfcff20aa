"""Services with many callers: a security group has no room for a rule of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.mesh.mesh import Mesh

JOINED_FROM, MOST_ONE_BY_ONE = 40, 50
"""
Callers beyond which those of a service share a security group besides, and beyond which it is the one that is let in.

A group takes 60 rules (Amazon VPC quotas, "Inbound or outbound rules per security group"); some are for others. Between
the two numbers a caller has both, so that no caller is shut out while a mesh grows over the second.
"""


ONE_BY_ONE = "callers_one_by_one"
"""
The key of the CDK's context with the services, between commas, whose callers are let in one by one all the same.

For one deploy, in which the callers that a service has get the shared group: shards are deployed in any order.
"""


def calling(mesh: Mesh) -> set[tuple[str, str]]:
    """Each proxy's place in the mesh file, with each service that it calls."""
    return {(call.caller, mesh.service_of(call.node)) for call in mesh.calls() if mesh.is_run(call.node)}


def callers(mesh: Mesh) -> Counter[str]:
    """The number of proxies that call each service that anybody calls."""
    return Counter(callee for _, callee in calling(mesh))


def one_by_one(context: object) -> frozenset[str]:
    """The services of :data:`ONE_BY_ONE`; none if the context has no such key."""
    return frozenset(context.split(",")) if isinstance(context, str) else frozenset()
