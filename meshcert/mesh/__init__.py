"""
The mesh file: what a person declares, checked as a whole, and the settings of each proxy that follow from it.

Only the CDK app, the stacks and the command line import it; functions and the image do not contain pydantic.
"""

from __future__ import annotations

from meshcert.mesh.issuance import DeclaredIdentity, Hierarchy
from meshcert.mesh.mesh import Mesh
from meshcert.mesh.reading.loading import Reading, load_mesh, read_mesh
from meshcert.mesh.rendering.route_tables import route_table, task_settings
from meshcert.mesh.rendering.settings import SecretIds, proxy_settings, services_by_identity
from meshcert.mesh.rendering.sidecar import settings_document, sidecar
from meshcert.mesh.services import DeclaredService

__all__ = [
    "DeclaredIdentity",
    "DeclaredService",
    "Hierarchy",
    "Mesh",
    "Reading",
    "SecretIds",
    "load_mesh",
    "proxy_settings",
    "read_mesh",
    "route_table",
    "services_by_identity",
    "settings_document",
    "sidecar",
    "task_settings",
]
