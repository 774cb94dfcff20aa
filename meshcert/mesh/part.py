"""The base of every part of the mesh file, and the types of its values."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetPydanticSchema, Strict
from pydantic_core import PydanticCustomError, core_schema

from meshcert.contract.spiffe_id import LONGEST_SPIFFE_ID, LONGEST_TRUST_DOMAIN
from meshcert.mesh.naming import DNS_NAME, NAME
from meshcert.san import Dns, San, SpiffeIdPrefix, san_of
from meshcert.timeouts import LONGEST_TIMEOUT_S
from meshcert.tls_sources import PATH_PATTERN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcert.san import AcceptedName

Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Years = Annotated[int, Strict(), Field(ge=1, le=100)]


FILE_NAME = r"^[^\x00-\x1f\x7f]+$"
"""The path of a file of the repository: one line, not the file's content."""


def _in_seconds(value: Any) -> Any:
    """App Mesh's Duration, ``{unit: s | ms, value: 2}``, as seconds; anything else as it is."""
    if not isinstance(value, dict) or set(value) != {"unit", "value"} or value["unit"] not in ("s", "ms"):
        return value
    number = value["value"]
    is_whole = isinstance(number, int) and not isinstance(number, bool)
    return number / (1000 if value["unit"] == "ms" else 1) if is_whole else value


Seconds = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False), BeforeValidator(_in_seconds)]
Limit = Annotated[float, Strict(), Field(ge=0, le=LONGEST_TIMEOUT_S, allow_inf_nan=False), BeforeValidator(_in_seconds)]
"""Seconds; 0 is no limit."""


_LIFE = re.compile("([1-9][0-9]{0,4})([mhd])")
_UNITS = {"d": dt.timedelta(days=1), "h": dt.timedelta(hours=1), "m": dt.timedelta(minutes=1)}


def _life(written: Any) -> str:
    """
    The text of a life.

    Raises:
        PydanticCustomError: If it is none.
    """
    if isinstance(written, str) and _LIFE.fullmatch(written):
        return written
    raise PydanticCustomError("life", "be a whole number of hours or days, as in 24h or 7d")


def _span(text: str) -> dt.timedelta:
    return int(text[:-1]) * _UNITS[text[-1]]


def life_text(life: dt.timedelta) -> str:
    """A life of whole minutes as people write it: ``24h``, ``7d``."""
    if life % _UNITS["h"]:
        return f"{life // _UNITS['m']}m"
    unit = "h" if life % _UNITS["d"] or life == _UNITS["d"] else "d"
    return f"{life // _UNITS[unit]}{unit}"


Life = Annotated[
    dt.timedelta,
    GetPydanticSchema(
        lambda *_: core_schema.no_info_before_validator_function(
            _life,
            core_schema.no_info_after_validator_function(_span, core_schema.str_schema()),
            serialization=core_schema.plain_serializer_function_ser_schema(life_text),
        )
    ),
    Field(json_schema_extra={"pattern": f"^{_LIFE.pattern}$"}),
]


def _text_as(kind: Callable[[str], San]) -> GetPydanticSchema:
    """
    A type whose texts in the file become SANs.

    Their form is not checked here: the checks do that, with remedies.
    """
    return GetPydanticSchema(
        lambda *_: core_schema.no_info_after_validator_function(
            kind, core_schema.str_schema(), serialization=core_schema.to_string_ser_schema()
        )
    )


DnsName = Annotated[Dns, _text_as(Dns)]
AnyName = Annotated[San, _text_as(san_of)]

ContainerPath = Annotated[str, Field(pattern=f"^{PATH_PATTERN}$", examples=["/keys/chain.pem"])]
"""An absolute path in Envoy's container."""

# Hints for editors beyond shape and type; the checks enforce the same rules, with a remedy.
NAME_SCHEMA: dict[str, Any] = {"pattern": f"^{NAME.pattern}$"}
DNS_NAMES_SCHEMA: dict[str, Any] = {
    "items": {"type": "string", "pattern": f"^{DNS_NAME.pattern}$"},
    "uniqueItems": True,
}
TRUST_DOMAIN_SCHEMA: dict[str, Any] = {"pattern": "^[a-z0-9._-]*$", "maxLength": LONGEST_TRUST_DOMAIN}
SPIFFE_ID_SCHEMA: dict[str, Any] = {
    "pattern": "^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$",
    "maxLength": LONGEST_SPIFFE_ID,
}
SPIFFE_ID_PREFIXES_SCHEMA: dict[str, Any] = {
    "items": {
        "type": "string",
        "pattern": "^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*$",
        "maxLength": LONGEST_SPIFFE_ID,
    },
    "uniqueItems": True,
}
NAMES_SCHEMA: dict[str, Any] = {
    "items": {
        "type": "string",
        "anyOf": [{"pattern": f"^{DNS_NAME.pattern}$"}, SPIFFE_ID_SCHEMA],
    },
    "uniqueItems": True,
}


class Part(BaseModel):
    """
    Any part of the file: frozen, and unknown keys are faults.

    Where proxy settings or the lifecycle have a class of the same name, the part's is ``Declared…``; in the JSON
    Schema the title keeps the plain name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SanMatch(Part):
    """Which names are accepted: those of either list."""

    exact: tuple[AnyName, ...] = Field(
        default=(),
        min_length=1,
        examples=[["colorgateway.mtls.svc.cluster.local"]],
        json_schema_extra=NAMES_SCHEMA,
    )
    """The peer's certificate must carry one of these DNS names or SPIFFE IDs, as a whole."""
    prefix: tuple[str, ...] = Field(
        default=(),
        min_length=1,
        examples=[["spiffe://color.example/ns/edge"]],
        json_schema_extra=SPIFFE_ID_PREFIXES_SCHEMA,
    )
    """Or a SPIFFE ID that is one of these, or goes on behind it with `/`: whole path segments, with trust domain."""

    @property
    def names(self) -> tuple[AcceptedName, ...]:
        """All of them, in the file's order."""
        return tuple(name for _, name in self.placed())

    def placed(self) -> Iterator[tuple[str, AcceptedName]]:
        """All of them, each with its place below this part."""
        for index, name in enumerate(self.exact):
            yield f"exact[{index}]", name
        for index, text in enumerate(self.prefix):
            yield f"prefix[{index}]", SpiffeIdPrefix(text)


class EgressFilter(StrEnum):
    """What becomes of requests to hosts that are no declared backends (App Mesh's EgressFilter)."""

    DROP_ALL = "DROP_ALL"
    ALLOW_ALL = "ALLOW_ALL"


class OutsideClients(Part):
    """Clients outside the mesh: exactly one kind of hosts."""

    cidr: str = Field(default="", examples=["10.20.0.0/16"])
    """IPv4 addresses; or security_group."""
    security_group: Annotated[str, Field(pattern=r"^(sg-[0-9a-f]{8,17})?$")] = ""
    """Id of a security group; or cidr."""
