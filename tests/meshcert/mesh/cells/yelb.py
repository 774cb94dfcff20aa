"""Yelb over three accounts, with something changed in its file."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from meshcert.mesh import read_mesh
from tests.meshcert.mesh.mesh_slips import REMOVED, ROOT, steps

if TYPE_CHECKING:
    from meshcert.mesh import Mesh
    from meshcert.mesh.reading.loading import Reading

FILE = ROOT / "examples" / "yelb-accounts.yaml"
YELB: dict[str, Any] = yaml.safe_load(FILE.read_text())
SHARED, FRONTEND, BACKEND = "111122223333", "222233334444", "333344445555"
AUTHORITIES = {
    "edge": f"arn:aws:acm-pca:eu-west-1:{SHARED}:certificate-authority/01234567-89ab-cdef-0123-000000000001",
    "inner": f"arn:aws:acm-pca:eu-west-1:{SHARED}:certificate-authority/01234567-89ab-cdef-0123-000000000002",
}
DEPLOYED = tuple(
    (f"hierarchies.{name}.authority", {"arn": arn, "root": f"{name}.pem"}) for name, arn in AUTHORITIES.items()
)
"""What the file says after the first deploy of the shared cell."""
SHARED_NAMESPACE = f"arn:aws:servicediscovery:eu-west-1:{SHARED}:namespace/ns-0123456789abcdef"
IN_ONE_NAMESPACE = (
    ("mesh.namespace_id", SHARED_NAMESPACE),
    ("cells.frontend.namespace", REMOVED),
    ("cells.backend.namespace", REMOVED),
    ("cells.backend.discovery", REMOVED),
    *(
        (f"identities.{name}.dns_names", [f"{name}.yelb.internal", *declared["dns_names"]])
        for name, declared in YELB["identities"].items()
        if name != "gateway"
    ),
)
"""Both cells in a namespace that the shared cell's account shares with them."""
FAR = "ap-southeast-2"
_VALIDATION = "listeners[0].tls.validation.trust"
OVER_A_REGION: tuple[tuple[str, object], ...] = (
    ("cells.backend.region", FAR),
    ("hierarchies.far", {**YELB["hierarchies"]["inner"], "cell": "backend", "subject": {"organization": "Yelb far"}}),
    *((f"identities.{name}.hierarchy", "far") for name in ("appserver", "redis", "postgres")),
    *((f"virtual_nodes.{name}.{_VALIDATION}", {"hierarchy": "far"}) for name in ("redis", "postgres")),
    ("virtual_nodes.appserver.backend_defaults.client_policy.tls.validation.trust", {"hierarchy": "far"}),
    ("virtual_nodes.ui.backends[0].client_policy.tls.validation.trust", {"hierarchy": "far"}),
    (f"virtual_nodes.appserver.{_VALIDATION}", {"hierarchy": "inner"}),
)
"""The backend in another region, with a hierarchy of its own; each side of the call over it trusts the other's."""
LIST = f"s3://meshcert-yelb-crl-{SHARED}-eu-west-1/crl/{AUTHORITIES['inner'][-36:]}.crl"
LISTED = (
    ("hierarchies.inner.revocation", "crl"),
    ("hierarchies.inner.authority", {"arn": AUTHORITIES["inner"], "root": "inner.pem", "lists": [LIST]}),
)
"""The same of revocation lists, of one hierarchy."""


def text(*changes: tuple[str, object]) -> bytes:
    """The file with values replaced or removed."""
    values = copy.deepcopy(YELB)
    for place, value in changes:
        *way, last = steps(place)
        at: Any = values
        for step in way:
            at = at[step]
        if value is REMOVED:
            del at[last]
        else:
            # Another change may lead into it.
            at[last] = copy.deepcopy(value)
    return yaml.safe_dump(values, sort_keys=False).encode()


def reading(*changes: tuple[str, object]) -> Reading:
    """What is read of it."""
    return read_mesh(text(*changes))


def mesh(*changes: tuple[str, object]) -> Mesh:
    """The mesh that it describes, without a fault."""
    read = reading(*changes)
    assert read.mesh, read.faults
    return read.mesh
