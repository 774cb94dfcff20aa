"""
Functions run in an environment of their own.

MiniStack 1.5.33 starts Python functions with its own interpreter, which holds all that MiniStack needs: what a bundle
lacks is found there.

AWS's runtimes hold boto3 and nothing else (Lambda developer guide, "Runtime-included SDK versions").

It can go when MiniStack can be told which interpreter functions run in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ministack.core import lambda_runtime

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config

    Detection = Callable[[str], tuple[str, str]]


def install(config: Config) -> None:
    """Have Python functions started with the configured interpreter."""
    hooks.wrap(lambda_runtime, "_detect_runtime_binary", lambda inner: _with(inner, str(config.function_python)))


def _with(inner: Detection, interpreter: str) -> Detection:
    def detect(runtime: str) -> tuple[str, str]:
        binary, script = inner(runtime)
        return (interpreter if runtime.startswith("python") else binary), script

    return detect
