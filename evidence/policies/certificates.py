"""The certificates and roots of the matrix, from every source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence.fixtures.key_files import plain_key
from evidence.fixtures.pki import Hierarchy
from evidence.policies.meshes import CALLERS, CERTIFICATES, MESH, TELLERS
from meshcert import naming

if TYPE_CHECKING:
    from pathlib import Path

    from evidence.fixtures.sds_server import SdsServer
    from evidence.fixtures.secrets_api import SecretsApi

NAMES = (*CERTIFICATES, *CERTIFICATES[TELLERS], *CERTIFICATES[CALLERS])
"""Of everything that an agent has: roots, and certificates."""


def give_certificates(api: SecretsApi, folder: Path, agent: SdsServer) -> None:
    """
    Publish, write and offer each certificate and both roots.

    A listener's certificate is signed by another root for each source. A caller's meets trust from any source, so there
    is one root.
    """
    callers = Hierarchy(name=CALLERS)
    for hierarchy, certificates in CERTIFICATES.items():
        acm, file, sds = (callers if hierarchy == CALLERS else Hierarchy(name=hierarchy) for _ in range(3))
        api.publish_trust_bundle(naming.trust_bundle_secret(MESH, hierarchy), acm.trust_bundle)
        (folder / f"{hierarchy}.pem").write_text(file.root_pem)
        agent.give_roots(hierarchy, sds.root_pem)
        for name, names in certificates.items():
            api.publish(naming.identity_secret(MESH, name), acm.issue(names))
            in_file = file.issue(names)
            (folder / f"{name}.pem").write_text(in_file.presented_chain)
            (folder / f"{name}.key").write_text(plain_key(in_file))
            agent.give_certificate(name, sds.issue(names))
