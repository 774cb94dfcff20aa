"""Services with many callers: a security group has no room for a rule of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from meshcert.mesh.mesh import Mesh

JOINED_FROM, MOST_ONE_BY_ONE = 40, 50
"""
Callers beyond which those of a service share a security group besides, and beyond which it is the one that is let in.

A group takes 60 rules (Amazon VPC quotas, "Inbound or outbound rules per security group"); some are for others. Between
the two numbers a caller has both, so that no caller is shut out while a mesh grows over the second.
"""


ONE_BY_ONE = "callers_one_by_one"
"""
The key of the CDK's context with the services, between commas, whose callers are let in one by one, however many.

For one deploy between two: callers have the shared group and a rule of their own each, so before and after it a service
may let in either. Shards are deployed in any order.
"""


class Admission(NamedTuple):
    """
    How a service lets its callers in.

    Args:
        joined: Whether callers have the group that they share besides their own.
        shared: Whether that one is let in.
        own: Whether each caller's own is.
    """

    joined: bool
    shared: bool
    own: bool


def admission(count: int, *, is_one_by_one: bool = False) -> Admission:
    """
    How a service with so many callers lets them in.

    Args:
        is_one_by_one: Whether this deploy lets in each of them, however many they are (:data:`ONE_BY_ONE`).
    """
    joined = count > JOINED_FROM
    if is_one_by_one:
        return Admission(joined=True, shared=False, own=True)
    return Admission(joined, joined, count <= MOST_ONE_BY_ONE)


def calling(mesh: Mesh) -> set[tuple[str, str]]:
    """Each proxy's place in the mesh file, with each service that it calls."""
    return {(call.caller, mesh.service_of(call.node)) for call in mesh.calls() if mesh.is_run(call.node)}


def callers(mesh: Mesh) -> Counter[str]:
    """The number of proxies that call each service that anybody calls."""
    return Counter(callee for _, callee in calling(mesh))


def sharing(mesh: Mesh, one_by_one: Collection[str] = ()) -> frozenset[str]:
    """
    The services whose tasks have the group that callers share; those of yours (attached) never do.

    Args:
        one_by_one: The services whose callers this deploy lets in one by one.
    """
    runners = {service.proxy_place: name for name, service in mesh.services.items() if not service.attached}
    count = callers(mesh)
    return frozenset(
        runners[caller]
        for caller, callee in calling(mesh)
        if caller in runners and admission(count[callee], is_one_by_one=callee in one_by_one).joined
    )


def one_by_one(context: object) -> frozenset[str]:
    """The services of :data:`ONE_BY_ONE`; none if the context has no such key."""
    return frozenset(context.split(",")) if isinstance(context, str) else frozenset()
