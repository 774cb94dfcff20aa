"""The stacks of shards, each beside the stack that holds what all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Stack
from aws_cdk import aws_kms as kms

from meshcert.mesh.stacks.shards import shards_of

if TYPE_CHECKING:
    from meshcert.mesh import Mesh


class ShardStacks:
    """
    The stacks of one kind: of a mesh's services, or of its identities.

    Args:
        home: The stack of what no shard names, and of what all share; a shard's is deployed after it.
        holds: What a shard's stack holds, for people.
    """

    def __init__(self, home: Stack, *, mesh: Mesh, holds: str) -> None:
        self._home = home
        self._mesh = mesh
        self._holds = holds
        self._stacks: dict[str, Stack] = {}

    @property
    def stacks(self) -> list[Stack]:
        """Those of shards that have any."""
        return list(self._stacks.values())

    def stack_of(self, name: str) -> Stack:
        """The stack of a service or an identity; a shard's is made with the first of them."""
        app: Any = self._home.node.scope
        for shard in shards_of(self._mesh.shards, name):
            if shard not in self._stacks:
                self._stacks[shard] = Stack(
                    app,
                    f"{self._home.node.id}-{shard}",
                    description=f"meshcert {self._mesh.name}: {self._holds} of the shard {shard}",
                    termination_protection=self._mesh.about.deletion_protection,
                )
                self._stacks[shard].add_stack_dependency(self._home)
            return self._stacks[shard]
        return self._home


def key_in(stack: Stack, key: kms.IKey) -> kms.IKey:
    """A key as a stack knows it: another stack's by its ARN, since a grant on the key itself would edit its policy."""
    if stack is Stack.of(key):
        return key
    known: Any = stack.node.try_find_child("Key")
    return known or kms.Key.from_key_arn(stack, "Key", key.key_arn)
