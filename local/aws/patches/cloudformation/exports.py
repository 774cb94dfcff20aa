"""
What a stack exports, as long as another one imports it.

MiniStack 1.5.33 refuses to delete a stack whose exports are in use, and lets an update drop or change one. What it
drops can still be imported.

AWS takes such an update back: "You can't modify or remove an output value that is referenced by another stack"
(CloudFormation user guide, "Get exported outputs from a deployed CloudFormation stack").

It can go when an update that drops an export in use rolls back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import cloudformation
from ministack.services.cloudformation import handlers, stacks

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    Resolved = tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]


_NOTHING_THERE = {"DELETE_COMPLETE", "ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"}


def install() -> None:
    """Look at what others import once an update knows what it exports."""
    hooks.require(cloudformation, "_exports")
    hooks.require(cloudformation, "_stacks")
    hooks.require(handlers, "_imported_export_names")
    hooks.wrap(stacks, "_resolve_stack_outputs", _unless_in_use)


def _unless_in_use(inner: Callable[..., Resolved]) -> Callable[..., Resolved]:
    def resolve(*arguments: Any) -> Resolved:
        outputs, exports = inner(*arguments)
        stack_id = arguments[-1]
        before = {name: each for name, each in cloudformation._exports.items() if each["StackId"] == stack_id}
        for name, each in before.items():
            now = exports.get(name)
            if now and now["Value"] == each["Value"]:
                continue
            if users := sorted(_users(name, stack_id)):
                change = "updated" if now else "deleted"
                raise ValueError(f"Export {name} cannot be {change} as it is in use by {', '.join(users)}")
        for name in before.keys() - exports.keys():
            del cloudformation._exports[name]
        return outputs, exports

    return resolve


def _users(export: str, stack_id: str) -> list[str]:
    return [
        name
        for name, stack in cloudformation._stacks.items()
        if stack["StackId"] != stack_id
        and stack["StackStatus"] not in _NOTHING_THERE
        and export in handlers._imported_export_names(stack, name)
    ]
