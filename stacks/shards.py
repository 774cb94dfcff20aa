"""
The stacks of shards, each beside the stack that holds what all share; and where a stack holds parts of services.

What one stack has to know of another's it reads from Parameter Store when it is deployed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from meshcert.mesh.stacks.logical_ids import logical_id
from meshcert.mesh.stacks.shards import shards_of

if TYPE_CHECKING:
    from meshcert.mesh import Mesh


_READ, _READ_APART = "SsmParameterValue", "ParameterValues"


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


def scope_of_part(stack: Stack, construct_id: str, mesh: Mesh) -> Construct:
    """
    The scope for a part of a service that is called ``SERVICE-PART``: its stack, unless a service has that name.

    Logical ids leave ``Default`` out (AWS CDK API reference, ``Names.uniqueId``), so a deployed part keeps its id when
    such a service comes or goes.

    Args:
        construct_id: The part's.
    """
    if construct_id not in mesh.services:
        return stack
    aside: Any = stack.node.try_find_child("Default")
    return aside or Construct(stack, "Default")


def parameter_value(scope: Construct, name: str) -> str:
    """
    The value that a parameter of Systems Manager has at a deploy.

    The CDK makes a parameter of the template of it, at the top of the stack, and leaves hyphens out of its id. Of names
    that differ in them alone, each but the first gets an id with a hash; it is no resource, and another id replaces
    nothing.
    """
    stack = Stack.of(scope)
    read = [each.node.id.split(":")[1] for each in stack.node.children if each.node.id.startswith(f"{_READ}:")]
    own = name.replace("/", "--")
    if own in read or logical_id(own) not in map(logical_id, read):
        return ssm.StringParameter.value_for_string_parameter(stack, name)
    apart: Any = stack.node.try_find_child(_READ_APART) or Construct(stack, _READ_APART)
    known: Any = apart.node.try_find_child(own)
    found = known or ssm.StringParameter.from_string_parameter_attributes(apart, own, parameter_name=name)
    return str(found.string_value)
