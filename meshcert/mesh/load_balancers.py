"""The load balancer before a virtual gateway: one that a deploy makes, or one of yours."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from meshcert.mesh.part import OutsideClients, Part, Port

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

_ARN = r"arn:aws[a-z-]*:{service}:[a-z0-9-]+:[0-9]{{12}}:{resource}/[A-Za-z0-9/_-]+"

TargetGroup = Annotated[
    str,
    Field(
        pattern=f"^{_ARN.format(service='elasticloadbalancing', resource='targetgroup')}$",
        examples=["arn:aws:elasticloadbalancing:us-west-1:111122223333:targetgroup/edge/0123456789abcdef"],
    ),
]


PortKey = Annotated[int, Field(ge=1, le=65535)]
"""A port as a key: the file's keys are texts."""


class BalancerType(StrEnum):
    """What a load balancer sees of a connection."""

    NETWORK = "network"
    APPLICATION = "application"


class BalancerScheme(StrEnum):
    """Who has a way to a load balancer (elasticloadbalancing:CreateLoadBalancer, Scheme)."""

    INTERNAL = "internal"
    INTERNET_FACING = "internet-facing"


class LoadBalancer(Part):
    """The load balancer before a virtual gateway; `true` is one with everything left out."""

    type: BalancerType = BalancerType.NETWORK
    """`network` passes TLS through to Envoy; `application` ends it, and speaks to Envoy anew."""
    scheme: BalancerScheme = BalancerScheme.INTERNAL
    """`internal`, or `internet-facing`: in public subnets, and then `clients` says whom it admits."""
    clients: tuple[OutsideClients, ...] = ()
    """Whom its security group admits; with `target_groups`, whom the tasks' does. Left out: the network's addresses."""
    port: Port | None = None
    """Its own port, before a gateway of one listener. Left out: each listener's."""
    certificate: Annotated[str, Field(pattern=f"^({_ARN.format(service='acm', resource='certificate')})?$")] = ""
    """With `application`: ARN of the certificate in ACM that clients see."""
    target_groups: dict[PortKey, TargetGroup] = Field(default={})
    """Target groups of a load balancer of yours, by listener port; then none is made."""


def _of_a_switch(written: Any) -> Any:
    """``true`` is a load balancer with everything left out, ``false`` is none."""
    if isinstance(written, bool):
        return {} if written else None
    if not isinstance(written, dict):
        raise PydanticCustomError("switch", "be true or false, or say what the load balancer is like")
    return written


class _OrSwitch:
    """In the JSON Schema: ``true``, ``false`` or the part."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        return {"anyOf": [{"type": "boolean"}, *(each for each in schema["anyOf"] if each.get("type") != "null")]}


Balanced = Annotated[LoadBalancer | None, BeforeValidator(_of_a_switch), _OrSwitch]
