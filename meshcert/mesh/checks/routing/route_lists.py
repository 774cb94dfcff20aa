"""What holds for the routes of a router and of a gateway alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.rendering.routes import ranked_routes
from meshcert.mesh.routing.order import hides, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.proxies import GatewayListener, NodeListener
    from meshcert.mesh.routing.gateway_routes import GatewayRoute
    from meshcert.mesh.routing.routers import RouterListener, RouterRoute


class Entrance(NamedTuple):
    """
    The listeners of a router, a gateway or a node.

    Args:
        owner: What they belong to, as a reader would call it.
        place: Of their list in the mesh file.
        ports: Their protocols, by port.
    """

    owner: str
    place: str
    ports: dict[int, str]

    @classmethod
    def of(
        cls, owner: str, place: str, listeners: Iterable[GatewayListener | NodeListener | RouterListener]
    ) -> Entrance:
        """The entrance of what has these listeners."""
        ports = {each.port_mapping.port: each.port_mapping.protocol.value for each in listeners}
        return cls(owner, f"{place}.listeners", ports)

    def check_port(self, place: str, port: int | None, findings: Findings) -> None:
        """Report a port that names no listener, and one that is missing where there are several."""
        known = ", ".join(map(str, self.ports))
        if port is None and len(self.ports) > 1:
            problem, remedy = f"the {self.owner} has several listeners ({known})", "Add port: which of them"
            findings.add(place, problem, remedy, within=(self.place,))
        if port is not None and port not in self.ports:
            problem, remedy = f"the {self.owner} has no listener on port {port}", f"Use {known}, or remove it"
            findings.add(place, problem, remedy, within=(self.place,))

    def check_kind(self, place: str, port: int | None, findings: Findings) -> str:
        """The protocol that a route is for; reported if no listener speaks it. ``place``: ends with its kind."""
        protocol = place.rpartition(".")[2].removesuffix("_route")
        spoken = [self.ports[port]] if port in self.ports else list(self.ports.values())
        if protocol not in spoken:
            findings.add(
                place,
                f"the {self.owner}'s listener speaks {' or '.join(spoken)}, so no request comes here",
                f"Write {spoken[0]}_route, or give a listener the protocol {protocol}",
                within=(self.place,),
            )
        return protocol


def one_kind(place: str, route: RouterRoute | GatewayRoute, kinds: Sequence[str], findings: Findings) -> str:
    """The one kind of a route; empty if it has none or several, which is reported."""
    said = [kind for kind in kinds if getattr(route, kind)]
    if len(said) == 1:
        return said[0]
    findings.add(
        place,
        f"it is {'none' if not said else 'several'} of {', '.join(kinds)}",
        "Make it exactly one, for what its listener speaks",
        given=[f"{place}.{kind}" for kind in kinds],
    )
    findings.doubt(place)
    return ""


def check_names(place: str, routes: Sequence[RouterRoute | GatewayRoute], findings: Findings) -> None:
    """Report routes of one name."""
    seen: dict[str, int] = {}
    for index, route in enumerate(routes):
        if (first := seen.setdefault(route.name, index)) != index:
            findings.add(
                f"{place}[{index}].name",
                f"{place}[{first}] has the name {route.name} already",
                "Give it another name",
                given=(f"{place}[{first}].name",),
            )


def check_hidden(place: str, routes: Sequence[RouterRoute | GatewayRoute], findings: Findings) -> None:
    """Report routes whose requests an earlier one takes."""
    ordered = in_order(ranked_routes(place, routes))
    for later, route in enumerate(ordered):
        for first in ordered[:later]:
            if hides(first.route, route.route):
                said = "no priority" if first.priority is None else f"priority {first.priority}"
                findings.add(
                    route.place,
                    f"it can never match: {first.name} ({said}) is asked first and takes all its requests",
                    f"Give it a smaller priority than {first.name}, or remove one of them",
                    within=(first.place, route.place),
                )
                break
