"""Sandboxes of the same code share its folder and its byte code; other code has its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.local.aws.bundles import bundle, new_function

if TYPE_CHECKING:
    from local.running_aws import LocalAws

CODE = """
import os
def handler(event, context):
    return {"folder": os.path.dirname(os.path.realpath(__file__)), "pid": os.getpid(), "says": "one"}
"""
CHANGED = CODE.replace("one", "two")
RIGHTS = [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]


def invoke(aws: LocalAws, name: str) -> dict[str, Any]:
    """What the function answers."""
    answer: dict[str, Any] = json.loads(aws.client("lambda").invoke(FunctionName=name)["Payload"].read())
    return answer


def test_two_processes_of_the_same_code_share_its_folder(fresh_aws: LocalAws) -> None:
    """It lies below the local AWS's own folder, and holds the bundle."""
    for name in ("first", "second"):
        new_function(fresh_aws, name, CODE, RIGHTS)

    first, second = invoke(fresh_aws, "first"), invoke(fresh_aws, "second")

    assert first["folder"] == second["folder"]
    assert first["pid"] != second["pid"]
    assert (Path(first["folder"]) / "handler.py").read_text() == CODE


def test_a_change_of_code_runs_from_a_folder_of_its_own(fresh_aws: LocalAws) -> None:
    """What has begun with the old code keeps it; the function's next call is the new code's."""
    new_function(fresh_aws, "first", CODE, RIGHTS)
    before = invoke(fresh_aws, "first")

    fresh_aws.client("lambda").update_function_code(FunctionName="first", ZipFile=bundle(CHANGED))
    after = invoke(fresh_aws, "first")

    assert (before["says"], after["says"]) == ("one", "two")
    assert before["folder"] != after["folder"]
    assert (Path(before["folder"]) / "handler.py").read_text() == CODE
