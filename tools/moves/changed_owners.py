"""
Services and load balancers that a deploy would make where one of yours was, or give up for one of yours.

CloudFormation does carry that out, and what goes is gone: a service whose tasks answer, or a load balancer with the
address that clients know. So it is told before a deploy, with a way on which both stand beside each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.deploying.settings import SETTINGS_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.mesh import Mesh

_SERVICE = "AWS::ECS::Service"
_PAGE = 'docs/attached.md, "From yours to the mesh\'s, and back"'


class Owners(NamedTuple):
    """
    Whose the deployed services and load balancers are.

    Args:
        attached: By the name of a service, whether it is one of yours.
        balanced: By the name of a service of the mesh's with a load balancer, whether that is one of yours.
    """

    attached: Mapping[str, bool]
    balanced: Mapping[str, bool]

    @classmethod
    def of(cls, templates: Mapping[str, Mapping[str, Any]]) -> Owners:
        """What the templates of the stacks that hold services say."""
        resources = [each for template in templates.values() for each in template["Resources"].values()]
        made = [each["Properties"] for each in resources if each["Type"] == _SERVICE]
        yours = [each["Properties"] for each in resources if each["Type"] == SETTINGS_TYPE]
        return cls(
            {each["ServiceName"]: False for each in made} | {each["Service"]: True for each in yours},
            {
                # A made target group is a reference within the template, one of yours an ARN.
                each["ServiceName"]: isinstance(target["TargetGroupArn"], str)
                for each in made
                for target in each.get("LoadBalancers", ())
            },
        )


def changed_owners(mesh: Mesh, owners: Owners) -> Iterator[str]:
    """Each service and load balancer that would have another owner, with the way that loses nothing."""
    for name, service in mesh.services.items():
        if owners.attached.get(name, bool(service.attached)) != bool(service.attached):
            was, becomes = ("yours", "made") if owners.attached[name] else ("made", "yours")
            yield (
                f"services.{name}.attached: the deployed service is {was}, and this has it {becomes}: tasks that "
                "callers use would be gone before others serve. Declare the new one beside it, with a name and a node "
                f"of its own, and move callers over by weights ({_PAGE})"
            )
        elif service.load_balancer and name in owners.balanced:
            yours = bool(service.load_balancer.target_groups)
            if owners.balanced[name] != yours:
                loses = "and clients would lose its address" if yours else "and tasks would leave its target group"
                was = "made by a deploy" if yours else "yours"
                yield (
                    f"services.{name}.load_balancer: it is {was}, {loses} at once. Declare a second gateway beside it "
                    f"that has the other, and move clients over; if it has none, deploy once without it ({_PAGE})"
                )
