"""Shards: parts of a mesh with stacks of their own, for CloudFormation takes 500 resources a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Shards = Mapping[str, Sequence[str]]

SHARDED = ("identities", "services")
"""The stacks that a shard has a part of."""
MOVES_ASKED = "moves_asked"
"""The key of the CDK's context that says that ``make deploy`` has asked AWS whether the mesh can be deployed over."""
LOGS_OF_BEFORE = "logs_of_before"
"""
The key of the CDK's context with the log groups of yours, between commas, that deployed tasks of shards still write to.

The role with which ECS starts them is updated first; ``make deploy`` says so as long as their stacks name the group.
"""
Member = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\*?$", examples=["ledger", "pay-*"])]
"""A name, or the beginning of names before a ``*``."""


def is_named(member: str, name: str) -> bool:
    """Whether a member of a shard stands for a service or an identity."""
    return name.startswith(member[:-1]) if member.endswith("*") else name == member


def shards_of(shards: Shards, name: str) -> list[str]:
    """Every shard that names a service or an identity; more than one is a fault of the mesh file."""
    return [shard for shard, members in shards.items() if any(is_named(member, name) for member in members)]


def stack_of(kind: str, shards: Shards, name: str) -> str:
    """
    The stack of a service or an identity.

    Args:
        kind: ``services`` or ``identities``.

    Returns:
        Its name without the mesh's: the kind alone for what no shard names.
    """
    return "-".join([kind, *shards_of(shards, name)[:1]])


def stacks_of(kind: str, shards: Shards, names: Iterable[str]) -> list[str]:
    """
    The stacks of services or of identities: that of no shard first.

    Args:
        kind: ``services`` or ``identities``.
        names: Of all of them.
    """
    return list(dict.fromkeys([kind, *(stack_of(kind, shards, name) for name in names)]))
