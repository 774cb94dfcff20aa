"""The mesh file of each cell, and the settings of the two proxies that stand for the proxies of many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence.policies.matrix import CELLS, Client, Names, Policy, Server, Source
from meshcert.mesh import Mesh, proxy_settings
from meshcert.proxy import Route

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evidence.policies.matrix import Cell
    from meshcert.proxy import ProxySettings

MESH = "policies"
HOST, LISTED, MOVED, OTHER = (f"{name}.policies.local" for name in ("teller", "ledger", "moved", "other"))
"""Where the listener is found, and further names of its hierarchy's certificates: what is listed replaces the host."""
CALLER, STRANGER = "edge.policies.local", "stranger.policies.local"
"""The names of the callers' hierarchy."""
EDGE_PORT = 9080
APPLICATION_PORT = 8080
TELLERS, CALLERS = "tellers", "callers"
"""The hierarchies."""
CERTIFICATES: dict[str, dict[str, tuple[str, ...]]] = {
    TELLERS: {"teller": (HOST, LISTED), "elsewhere": (MOVED,), "other": (OTHER,)},
    CALLERS: {"caller": (CALLER,), "stranger": (STRANGER,)},
}
"""By hierarchy, the certificates with their names; nobody presents ``other`` and ``stranger``."""
_FIRST_PORT = 10_000
_PORTS = {cell: _FIRST_PORT + number for number, cell in enumerate(CELLS)}


class PolicyMeshes:
    """
    The meshes.

    Args:
        folder: With ``NAME.pem`` and ``NAME.key`` for certificates from files, and ``HIERARCHY.pem`` for roots.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sds_socket = str(folder / "agent.sock")
        """Path of the socket at which Envoy asks the agent."""
        self._proxy = {
            "volumes": [{"container_path": str(folder)}],
            "sds_socket_path": self.sds_socket,
            "agent": {"image": "acme/agent:1"},
        }

    def values(self, cell: Cell) -> dict[str, Any]:
        """The mesh file: a gateway ``edge`` that calls a node ``teller``."""
        listener: dict[str, Any] = {"port_mapping": {"port": port_of(cell), "protocol": "http"}}
        backend: dict[str, Any] = {"virtual_node": "teller"}
        if cell.server is not Server.NONE:
            listener["tls"] = self._listener_tls(cell)
        if cell.policy is not Policy.NONE:
            backend["client_policy"] = {"tls": self._client_policy(cell)}
        return {
            "schema": 1,
            "mesh": {"name": MESH, "namespace": "policies.local"},
            "hierarchies": {
                name: {"tiers": 1, "key_algorithm": "EC_prime256v1", "subject": {"organization": name}}
                for name in CERTIFICATES
            },
            "identities": {
                name: {"hierarchy": hierarchy, "dns_names": list(names), "key_algorithm": "EC_prime256v1"}
                for hierarchy, certificates in CERTIFICATES.items()
                for name, names in certificates.items()
            },
            "virtual_gateways": {
                "edge": {
                    "listeners": [{"port_mapping": {"port": EDGE_PORT, "protocol": "http"}}],
                    "backends": [backend],
                    "routes": [{"match": {"prefix": "/"}, "virtual_node": "teller"}],
                }
            },
            "virtual_nodes": {"teller": {"service_discovery": {"dns": HOST}, "listeners": [listener]}},
            "services": {
                "edge": {"virtual_gateway": "edge", "proxy": self._proxy},
                "teller": {
                    "virtual_node": "teller",
                    "application": {"image": "acme/teller:1", "port": APPLICATION_PORT},
                    "proxy": self._proxy,
                },
            },
        }

    def edge(self, cells: Sequence[Cell]) -> ProxySettings:
        """One gateway that calls the listener of each cell as the cell's own does, for paths with the cell's key."""
        each = {cell.key: self._settings(cell, "edge") for cell in cells}
        backends = tuple(settings.backends[0]._replace(name=key) for key, settings in each.items())
        routes = tuple(Route(f"/{key}", key) for key in each)
        return _merged(list(each.values()))._replace(backends=backends, routes=routes)

    def teller(self, cells: Sequence[Cell]) -> ProxySettings:
        """One node with the listener of each cell."""
        each = [self._settings(cell, "teller") for cell in cells]
        return _merged(each)._replace(listeners=tuple(settings.listeners[0] for settings in each))

    def _settings(self, cell: Cell, service: str) -> ProxySettings:
        # A file that check refuses is rendered all the same: the matrix has what can never succeed.
        return proxy_settings(Mesh.model_validate(self.values(cell)), service)

    def _listener_tls(self, cell: Cell) -> dict[str, Any]:
        name = "elsewhere" if cell.names is Names.ELSEWHERE else "teller"
        tls: dict[str, Any] = {
            "mode": "PERMISSIVE" if cell.server is Server.PERMISSIVE else "STRICT",
            "certificate": self._certificate(cell.source, name),
        }
        if cell.server is Server.MUTUAL:
            listed = {Names.RIGHT: CALLER, Names.WRONG: CALLER, Names.STRANGER: STRANGER}.get(cell.names)
            tls["validation"] = self._validation(cell.source, CALLERS, listed)
        return tls

    def _client_policy(self, cell: Cell) -> dict[str, Any]:
        listed = {Names.RIGHT: LISTED, Names.WRONG: OTHER, Names.STRANGER: LISTED}.get(cell.names)
        tls: dict[str, Any] = {"validation": self._validation(cell.source, TELLERS, listed)}
        if cell.client is not Client.NONE:
            tls["certificate"] = self._certificate(cell.client, "caller")
        tls["ports"] = [port_of(cell) + (cell.policy is Policy.OTHER_PORT)]
        tls["enforce"] = cell.policy is not Policy.NOT_ENFORCED
        return tls

    def _certificate(self, source: str, name: str) -> dict[str, Any]:
        chain, key = (str(self._folder / f"{name}.{ending}") for ending in ("pem", "key"))
        certificates: dict[str, dict[str, Any]] = {
            Source.ACM: {"identity": name},
            Source.FILE: {"file": {"certificate_chain": chain, "private_key": key}},
            Source.SDS: {"sds": {"secret_name": name}},
        }
        return certificates[source]

    def _validation(self, source: Source, hierarchy: str, listed: str | None) -> dict[str, Any]:
        trust: dict[Source, dict[str, Any]] = {
            Source.ACM: {"hierarchy": hierarchy},
            Source.FILE: {"file": {"certificate_chain": str(self._folder / f"{hierarchy}.pem")}},
            Source.SDS: {"sds": {"secret_name": hierarchy}},
        }
        names = {"subject_alternative_names": {"match": {"exact": [listed]}}} if listed else {}
        return {"trust": trust[source], **names}


def port_of(cell: Cell) -> int:
    """The TCP port of its listener."""
    return _PORTS[cell]


def _merged(each: Sequence[ProxySettings]) -> ProxySettings:
    """The first settings with the secrets of all."""
    identities = {name: secret for settings in each for name, secret in settings.identities.items()}
    trust_bundles = {name: secret for settings in each for name, secret in settings.trust_bundles.items()}
    return each[0]._replace(
        identities=identities, trust_bundles=trust_bundles, acknowledgements="", awaits_application=False
    )
