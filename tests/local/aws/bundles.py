"""Functions made of a few lines of code, each with a role of its own."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from tests.local.aws.roles import new_role

if TYPE_CHECKING:
    from tests.local.aws.roles import Clients


def bundle(code: str) -> bytes:
    """A zip file with ``handler.py``; equal code makes equal bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("handler.py"), code)
    return packed.getvalue()


def new_function(aws: Clients, name: str, code: str, rights: list[dict[str, Any]], **more: Any) -> str:
    """
    A function ``name`` whose role has the same name.

    Args:
        aws: Where.
        name: Of the function and its role.
        code: ``handler.py``, with a function ``handler``.
        rights: The role's statements.
        more: Further arguments of CreateFunction.

    Returns:
        Its ARN.
    """
    role = new_role(aws, name, rights, "lambda.amazonaws.com")
    arguments = {"Runtime": "python3.13", "Handler": "handler.handler", "Timeout": 20, **more}
    created = aws.client("lambda").create_function(
        FunctionName=name, Role=role, Code={"ZipFile": bundle(code)}, **arguments
    )
    return str(created["FunctionArn"])
