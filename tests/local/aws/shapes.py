"""Clients that hold every answer against botocore's own output shapes, as it came over the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.config import Config

if TYPE_CHECKING:
    from local.running_aws import LocalAws

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "timestamp": (int, float),
}


def checked_client(aws: LocalAws, service: str) -> Any:
    """A boto3 client for a JSON service that fails on unknown or missing members, wrong types and unknown values."""
    # Without retries: botocore takes LimitExceededException for throttling and would wait a second.
    client = aws.client(service, Config(retries={"total_max_attempts": 1}))

    def check(http_response: Any, model: Any, **_: Any) -> None:
        if http_response.status_code == 200 and model.output_shape is not None:
            raw = json.loads(http_response.content or b"{}")
            faults = list(faults_of(raw, model.output_shape, model.name))
            assert not faults, "\n".join(faults)

    client.meta.events.register("after-call", check)
    return client


def faults_of(value: Any, shape: Any, path: str) -> list[str]:
    """Where ``value`` is not what ``shape`` allows; patterns are not looked at, AWS's own answers break some."""
    if shape.type_name == "structure":
        unknown = [f"{path}.{name}: unknown member" for name in value if name not in shape.members]
        missing = [f"{path}.{name}: required" for name in shape.required_members if name not in value]
        known = ((name, shape.members[name]) for name in value if name in shape.members)
        nested = [fault for name, member in known for fault in faults_of(value[name], member, f"{path}.{name}")]
        return unknown + missing + nested
    if shape.type_name == "list":
        return [fault for i, item in enumerate(value) for fault in faults_of(item, shape.member, f"{path}[{i}]")]
    if shape.type_name == "map":
        return [fault for key, item in value.items() for fault in faults_of(item, shape.value, f"{path}[{key}]")]
    expected = _TYPES[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        return [f"{path}: {value!r} is no {shape.type_name}"]
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        return [f"{path}: {value!r} is none of {shape.enum}"]
    return []
