"""Which resources an ECS request is checked on; MiniStack takes the cluster for all of them."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import get_account_id, get_region

Call = dict[str, Any]

# The Service Authorization Reference for Amazon ECS: resource type, and the members of the request that name it.
_RESOURCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "CreateService": ("service", ("serviceName",)),
    "DeleteService": ("service", ("service",)),
    "DescribeServices": ("service", ("services",)),
    "ListServiceDeployments": ("service", ("service",)),
    "UpdateService": ("service", ("service",)),
    "DescribeTasks": ("task", ("tasks",)),
    "StopTask": ("task", ("task",)),
    "DescribeServiceDeployments": ("service-deployment", ("serviceDeploymentArns",)),
    "ListTagsForResource": ("", ("resourceArn",)),
    "TagResource": ("", ("resourceArn",)),
    "UntagResource": ("", ("resourceArn",)),
}
# Only a condition on ecs:cluster narrows these.
_ANYWHERE = frozenset({"ListServices", "ListTasks"})


def resources(action: str, request: Call) -> list[str]:
    """
    The ARNs that AWS checks a request on.

    Args:
        action: Without ``ecs:``.

    Returns:
        One ARN or more; empty if MiniStack's own choice stands.
    """
    if action in _ANYWHERE:
        return ["*"]
    kind, members = _RESOURCES.get(action, ("", ()))
    named = [request[member] for member in members if request.get(member)]
    references = [text for value in named for text in (value if isinstance(value, list) else [value])]
    return [_arn(kind, str(text), request) for text in references] or (["*"] if members else [])


def condition_keys(_action: str, request: Call) -> Call:
    """ecs:cluster of requests that name a cluster, or mean the default one."""
    return {"ecs:cluster": _base("cluster", _cluster(request))}


def _arn(kind: str, reference: str, request: Call) -> str:
    return reference if reference.startswith("arn:") else _base(kind, f"{_cluster(request)}/{reference}")


def _cluster(request: Call) -> str:
    return str(request.get("cluster") or "default").rsplit("/", 1)[-1]


def _base(kind: str, name: str) -> str:
    return f"arn:aws:ecs:{get_region()}:{get_account_id()}:{kind}/{name}"
