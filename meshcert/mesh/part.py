"""What every part of the mesh file is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict

from meshcert.mesh.naming import DNS_NAME, NAME

Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Years = Annotated[int, Strict(), Field(ge=1, le=100)]
Seconds = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]

# What editors are told beyond shape and type; the checks say the same with a remedy.
NAME_SCHEMA: dict[str, Any] = {"pattern": f"^{NAME.pattern}$"}
DNS_NAMES_SCHEMA: dict[str, Any] = {
    "items": {"type": "string", "pattern": f"^{DNS_NAME.pattern}$"},
    "uniqueItems": True,
}


class Part(BaseModel):
    """Any part of the file: frozen, and unknown keys are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
