"""
Changes that no deploy can carry out, or that take away what nobody asked to lose: told before a deploy begins.

Between what a deploy has made and what is yours, CloudFormation would make the new before the old, under a name that is
taken, or take away an ARN that another stack still imports. Either fails after minutes, with a sentence about something
else. Log groups it deletes with all their lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert import naming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.mesh import Mesh

_BESIDE = (
    "A mesh does not move: make a second one beside it, with a name of its own, and move callers over "
    '(docs/mesh-file.md, "The network")'
)


class Made(NamedTuple):
    """
    What earlier deploys have made.

    Args:
        kinds: The types of resources in the stack of the services.
        outputs: The names of the outputs of the stack of the CAs.
        log_groups: The names of that stack's log groups that go when they leave its template.
        has_key: Whether the key of the secrets was made, too; None if that is not known.
    """

    kinds: frozenset[str]
    outputs: frozenset[str]
    log_groups: frozenset[str] = frozenset()
    has_key: bool | None = None

    @classmethod
    def of(
        cls, services: Mapping[str, Any], outputs: frozenset[str], identities: Mapping[str, Any] | None = None
    ) -> Made:
        """What the templates of two stacks say, and the names of the outputs of the stack of the CAs."""
        resources = services["Resources"].values()
        groups = (each for each in resources if each["Type"] == "AWS::Logs::LogGroup")
        names = (
            each.get("Properties", {}).get("LogGroupName")
            for each in groups
            if not str(each.get("DeletionPolicy", "")).startswith("Retain")
        )
        return cls(
            frozenset(each["Type"] for each in resources),
            outputs,
            frozenset(name for name in names if isinstance(name, str)),
            None if identities is None else _has_key(identities),
        )


def refused_moves(mesh: Mesh, made: Made) -> Iterator[str]:
    """Each change that cannot be carried out, with the way that can."""
    for place, is_yours, kind, what in (
        ("network.existing", bool(mesh.network.existing), "AWS::EC2::VPC", "VPC"),
        ("mesh.namespace_id", bool(mesh.about.namespace_id), "AWS::ServiceDiscovery::PrivateDnsNamespace", "namespace"),
    ):
        if is_yours and kind in made.kinds:
            yield f"{place}: services run in a {what} that a deploy has made, and this names one of yours. {_BESIDE}"
        elif not is_yours and kind not in made.kinds:
            yield f"{place}: services run in a {what} of yours, and this has one made. {_BESIDE}"
    if made.has_key is not None and made.has_key == bool(mesh.about.secrets_key):
        yield (
            f"mesh.secrets_key: secrets are under a key {'that a deploy has made' if made.has_key else 'of yours'}, "
            f"and this {'names one of yours' if made.has_key else 'has one made'}: versions that tasks may have to go "
            f"back to stay under the earlier one, which their roles lose. {_BESIDE}"
        )
    groups = sorted(made.log_groups & {naming.log_group(mesh.name, service) for service in mesh.services})
    if groups and "group_per_service" not in mesh.logs.model_fields_set:
        yield (
            f"logs.group_per_service: services write to one log group now, and {', '.join(groups)} would be deleted "
            "with their lines. To keep them, deploy once with logs: {group_per_service: true}, which marks them so. "
            'To let them go, write false (docs/deploying.md, "What is kept, and deploying over it")'
        )
    for name, hierarchy in mesh.hierarchies.items():
        if hierarchy.existing and root_output(name) in made.outputs:
            yield (
                f"hierarchies.{name}.existing: a deploy has made the CAs of this hierarchy, and identities would get "
                "another root at once. Declare the CA of yours as a hierarchy of another name, and move to it "
                '(docs/trust.md, "Replace a CA in three deploys")'
            )


def _has_key(identities: Mapping[str, Any]) -> bool:
    """Whether the template of the identities' stack makes a key."""
    return any(each["Type"] == "AWS::KMS::Key" for each in identities["Resources"].values())


def root_output(hierarchy: str) -> str:
    """The output with the ARN of a made hierarchy's root CA: CloudFormation takes letters and digits alone."""
    return re.sub("[^A-Za-z0-9]", "", f"{hierarchy}RootCa")
