"""Resource types of our own in MiniStack's CloudFormation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ministack.services.cloudformation import provisioners, stacks

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

_slow: set[str] = set()


def _deletes_nothing(_physical_id: str, _properties: Properties) -> None:
    """For resources without an existence of their own."""


@dataclass(frozen=True)
class ResourceType:
    """
    One resource type.

    Args:
        name: For example ``AWS::ACMPCA::Permission``.
        create: Takes logical id, properties and stack name; returns the physical id (what ``Ref`` gives) and the
            attributes (what ``Fn::GetAtt`` gives). Raises ValueError to fail the resource.
        delete: Takes physical id and properties.
        update: Takes physical id, old properties, new properties and stack name; returns what ``create`` does. Without
            one, nothing but the replacing properties may change (:mod:`local.aws.replacing_properties`).
        tagged: Whether stack tags are merged into its property ``Tags``.
        slow: Whether it makes keys and must run on a worker thread.
    """

    name: str
    create: Callable[[str, Properties, str], Created]
    delete: Callable[[str, Properties], None] = _deletes_nothing
    update: Callable[[str, Properties, Properties, str], Created] | None = None
    tagged: bool = False
    slow: bool = False

    def register(self) -> None:
        """Make the type known, in the place of MiniStack's own if it has one."""
        handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")
        handlers[self.name] = {"create": self.create, "delete": self.delete}
        if self.update:
            handlers[self.name]["update"] = self.update
        if self.tagged:
            hooks.require(provisioners, "_STACK_TAG_PROPERTY")[self.name] = ("Tags", "list")
        if self.slow:
            _slow.add(self.name)


def install() -> None:
    """Let the slow types run on a worker thread, beside those that MiniStack already puts there."""
    hooks.wrap(stacks, "_runs_on_worker_thread", lambda inner: lambda name: name in _slow or inner(name))
