"""Checks of clients outside the mesh: who may fetch an identity's key, and that no service presents it as well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert.errors import Fault
from meshcert.mesh.stacks.trust_policies import LONGEST_TRUST, trust_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]{1,512}", re.ASCII)


def check_clients(mesh: Mesh, findings: Findings) -> None:
    """Report principals that are nobody or everybody, unknown hierarchies, and keys in two places."""
    for name, identity in mesh.identities.items():
        if identity.client is None:
            continue
        place = f"identities.{name}.client"
        for index, principal in enumerate(identity.client.principals):
            where = f"{place}.principals[{index}]"
            if not _PRINCIPAL.fullmatch(principal):
                findings.add(
                    where,
                    f"{principal!r} is not the ARN of a role or a user",
                    "Write arn:aws:iam::ACCOUNT:role/NAME; a whole account, a service or a wildcard gets no key",
                )
            elif principal in identity.client.principals[:index]:
                findings.add(where, f"{principal} is written twice", "Remove one of them")
        for index, hierarchy in enumerate(identity.client.trust):
            findings.require_known(mesh, f"{place}.trust[{index}]", "hierarchies", hierarchy)
        for service in sorted(_presented_by(mesh, name)):
            findings.add(
                place,
                f"service {service} presents {name}, and its key would be outside the mesh as well",
                "Declare an identity of its own for the client, so that each can be revoked by itself",
                given=(f"services.{service}", "virtual_gateways", "virtual_nodes"),
            )


def needs_raised_quota(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each client whose role can be made only in an account with a raised quota of IAM's."""
    for name, identity in mesh.identities.items():
        length = trust_length(identity.client.principals) if identity.client else 0
        if length > LONGEST_TRUST:
            yield Fault(
                f"identities.{name}.client.principals",
                f"the trust policy of its role would have {length:,} characters: IAM takes {LONGEST_TRUST:,}, unless "
                "the quota was raised in its account",
                "Name fewer (one role that the others may assume), name roles with shorter paths, or have the quota "
                "raised before the deploy",
            )


def _presented_by(mesh: Mesh, identity: str) -> set[str]:
    """The services whose proxies hold an identity."""
    found = set()
    for name, service in mesh.services.items():
        proxy = mesh.virtual_gateways.get(service.virtual_gateway) or mesh.virtual_nodes.get(service.virtual_node)
        if proxy is not None:
            sides = (
                *(listener.tls for listener in proxy.listeners),
                *(proxy.client_tls(backend) for backend in proxy.backends),
            )
            if any(side and side.certificate and side.certificate.identity == identity for side in sides):
                found.add(name)
    return found
