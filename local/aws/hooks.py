"""
The only way the overlay touches MiniStack's private parts: checked when the local AWS starts, never silently missing.

MiniStack is pinned, but it moves fast: a function that was renamed would leave a fix without effect and nobody would
notice. Every replaced name therefore goes through :func:`require` or :func:`replace`.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

MINISTACK_VERSION = "1.5.33"


class HookMissingError(RuntimeError):
    """
    MiniStack no longer has a part that the overlay replaces.

    Args:
        owner: The module or object that was looked at.
    """

    def __init__(self, owner: object, name: str) -> None:
        self.owner = getattr(owner, "__name__", type(owner).__name__)
        self.name = name
        super().__init__(
            f"{self.owner} has no {name!r} any more: the overlay was written for ministack {MINISTACK_VERSION}, "
            f"and {metadata.version('ministack')} is installed. Pin that version again, or adapt the hook."
        )


def require_version() -> None:
    """
    Make sure that the pinned MiniStack is the one installed.

    Raises:
        RuntimeError: If another version is installed.
    """
    installed = metadata.version("ministack")
    if installed != MINISTACK_VERSION:
        raise RuntimeError(
            f"the local AWS needs ministack {MINISTACK_VERSION}, but {installed} is installed; "
            "install from constraints again, or check every hook and change MINISTACK_VERSION"
        )


def require(owner: ModuleType | object, name: str) -> Any:
    """
    The attribute ``name`` of ``owner``.

    Raises:
        HookMissingError: If ``owner`` has no such attribute.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        raise HookMissingError(owner, name) from None


def replace(owner: ModuleType | object, name: str, replacement: Any) -> Any:
    """
    Put ``replacement`` in the place of ``owner.name`` and return what was there.

    Raises:
        HookMissingError: If there was nothing to replace.
    """
    original = require(owner, name)
    setattr(owner, name, replacement)
    return original


def wrap(owner: ModuleType | object, name: str, wrapper: Callable[[Any], Any]) -> None:
    """
    Put ``wrapper(original)`` in the place of ``owner.name``.

    Raises:
        HookMissingError: If there was nothing to wrap.
    """
    setattr(owner, name, wrapper(require(owner, name)))
