"""
Updates that replace a resource: the new one is made first, and the old one goes when the update has succeeded.

MiniStack 1.5.33 knows the replacing properties of few types, changes the others in place, and lets Cloud Map make a
second service of the same name.

AWS makes the new resource before it deletes the old one (CloudFormation user guide, "Update behaviors of stack
resources"), so that one with a fixed name, which must be replaced, fails: either "CloudFormation cannot update a stack
when a custom-named resource requires replacing", or with the service's own error, for example Cloud Map's
ServiceAlreadyExists (Cloud Map API reference, "CreateService").

It can go when an update that drops a Cloud Map service's HealthCheckCustomConfig rolls back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json
from ministack.services import servicediscovery
from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.replacing_properties import REPLACING

if TYPE_CHECKING:
    from collections.abc import Callable

Response = tuple[int, dict[str, str], bytes]

# Beside those that MiniStack knows: the name that a resource keeps, and cannot share with its successor.
_NAMED = {"AWS::ECS::Service": "ServiceName", "AWS::S3::Bucket": "BucketName", "AWS::Events::Rule": "Name"}


def install() -> None:
    """Register the table, after all other types, and let Cloud Map refuse names that are taken."""
    hooks.require(provisioners, "_REPLACING_PROPERTIES").update(REPLACING)
    conditional = hooks.require(provisioners, "_CONDITIONALLY_REPLACING_PROPERTIES")
    for name in REPLACING:
        conditional.pop(name, None)
    named = hooks.require(provisioners, "_CUSTOM_NAME_REPLACEMENT")
    named.update({kind: {"name": name} for kind, name in _NAMED.items()})
    hooks.require(servicediscovery, "_services")
    hooks.wrap(servicediscovery, "_create_service", _unless_it_exists)


def _unless_it_exists(inner: Callable[[dict[str, Any]], Response]) -> Callable[[dict[str, Any]], Response]:
    def create(request: dict[str, Any]) -> Response:
        name, namespace = request.get("Name"), request.get("NamespaceId")
        for service in servicediscovery._services.values():
            if service["NamespaceId"] == namespace and service["Name"] == name:
                refused: Response = error_response_json("ServiceAlreadyExists", "Service already exists.", 400)
                return refused
        return inner(request)

    return create
