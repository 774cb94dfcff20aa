"""What the API refuses: the error, its code, and whether it is a denial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

__all__ = ["ClientError", "code_of", "denial_of", "is_allowed"]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The error code of a refused call."""
    return str(error.value.response["Error"]["Code"])


def denial_of(call: Callable[..., Any], **arguments: Any) -> str:
    """The message with which IAM refuses a call; empty if it is let through. Other failures are raised."""
    try:
        call(**arguments)
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"]["Code"]:
            raise
        return str(error.response["Error"]["Message"])
    return ""


def is_allowed(call: Callable[..., Any], **arguments: Any) -> bool:
    """Whether IAM lets a call through. Other failures are raised."""
    return not denial_of(call, **arguments)
