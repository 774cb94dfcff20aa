"""The mesh file's JSON Schema, for editors."""

from __future__ import annotations

from typing import Any

from meshcert.mesh.mesh import Mesh


def json_schema() -> dict[str, Any]:
    """
    The JSON Schema (2020-12) of a mesh file.

    It describes what may be written in each place. Only ``check`` knows what two places must have in common.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Mesh.model_json_schema(by_alias=True),
        "title": "meshcert mesh file",
    }
