"""Have a deployed renewal function act on a policy: it is part of its environment, and a deploy sets AWS's times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.contract.environment import POLICY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.running_mesh import RunningMesh
    from meshcert.lifecycle.policy import Policy


def act_on(mesh: RunningMesh, policy: Policy, others: Mapping[str, str] | None = None, **configuration: Any) -> None:
    """
    Change the function's policy, and nothing else of its environment.

    Args:
        others: More variables.
        configuration: More of what lambda:UpdateFunctionConfiguration takes.
    """
    functions, name = mesh.client("lambda"), naming.function(mesh.name, "renewal")
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables = {key: value for key, value in before.items() if not key.startswith(POLICY_PREFIX)}
    variables |= policy.to_environ() | dict(others or {})
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables}, **configuration)
