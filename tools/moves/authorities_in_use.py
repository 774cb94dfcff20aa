"""
CAs whose ARNs deployed stacks import, and that the mesh file does not have as they are: told before a deploy.

The stack of the CAs is deployed first, and CloudFormation lets no output go or change that another stack imports: it
would take the deploy back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.mesh.existing import USAGE_MODES
from meshcert.mesh.issuance import Usage
from meshcert.mesh.stacks.logical_ids import logical_id, root_output
from meshcert.mesh.stacks.shards import stacks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshcert.mesh import Mesh
    from meshcert.mesh.issuance import Hierarchy

    Template = Mapping[str, Any]

_KIND = "AWS::ACMPCA::CertificateAuthority"
_ROOT, _ISSUING = "root", "issuing"


class InUse(NamedTuple):
    """
    What is deployed.

    Args:
        authorities: The template of the stack of the CAs.
        importing: The templates of all stacks that hold services or identities, by their names without the mesh's.
    """

    authorities: Template
    importing: Mapping[str, Template]

    def of(self, value: Any) -> list[str]:
        """The stacks that import a value, as the template of the CAs writes it."""
        for output in self.authorities.get("Outputs", {}).values():
            if output["Value"] == value and "Export" in output:
                imported = json.dumps({"Fn::ImportValue": output["Export"]["Name"]})[1:-1]
                return sorted(stack for stack, each in self.importing.items() if imported in json.dumps(each))
        return []


def authorities_in_use(mesh: Mesh, deployed: InUse, steps: Sequence[str]) -> Iterator[str]:
    """
    Each hierarchy with such a CA, with the way that can be carried out.

    Args:
        steps: The commands that deploy all stacks in the opposite order.
    """
    yield from _removed(mesh, deployed, steps)
    for name, hierarchy in mesh.hierarchies.items():
        if hierarchy.made and _is_another(name, hierarchy, deployed):
            yield (
                f"hierarchies.{name}: another key, subject, usage or number of tiers makes another CA, and identities "
                "are signed by the one that is there: CloudFormation keeps its ARN for them, and would take the deploy "
                "back. Leave it as it is, declare a hierarchy of another name, and move to that "
                '(docs/trust.md, "Replace a CA in three deploys")'
            )


def _removed(mesh: Mesh, deployed: InUse, steps: Sequence[str]) -> Iterator[str]:
    declared = {logical_id(root_output(name)) for name in mesh.hierarchies}
    still = {*stacks_of("services", mesh.shards, mesh.services), *stacks_of("identities", mesh.shards, mesh.identities)}
    for key, output in deployed.authorities.get("Outputs", {}).items():
        name = key.removesuffix(root_output(""))
        if name == key or key in declared or "Export" in output:
            continue
        stacks = deployed.of(output["Value"])
        emptied = ", ".join(stack for stack in stacks if stack not in still)
        first = f'Destroy {emptied} first, as nothing is left in it (docs/mesh-file.md, "Shards"). ' if emptied else ""
        if stacks:
            yield (
                f"hierarchies.{name}: the file has it no more, and {', '.join(stacks)} of {mesh.name} still imports "
                "the ARN of its CA. CloudFormation keeps what is imported, and would take the deploy back. "
                f"{first}Deploy in the opposite order: {', then '.join(steps)} "
                '(docs/deploying.md, "Removing a hierarchy")'
            )


def _is_another(name: str, hierarchy: Hierarchy, deployed: InUse) -> bool:
    """Whether a deploy would replace a CA of the hierarchy whose ARN is imported, or take it away."""
    roles = (_ROOT, _ISSUING)[: hierarchy.tiers]
    wanted = {f"{name} {role} CA": _wanted(hierarchy, role) if role in roles else None for role in (_ROOT, _ISSUING)}
    for key, each in deployed.authorities["Resources"].items():
        properties = each["Properties"] if each["Type"] == _KIND else {}
        subject = dict(properties.get("Subject", {}))
        common_name = subject.pop("CommonName", None)
        if common_name in wanted:
            found = (subject, *(properties.get(field) for field in ("KeyAlgorithm", "SigningAlgorithm", "UsageMode")))
            if found != wanted[common_name] and deployed.of({"Fn::GetAtt": [key, "Arn"]}):
                return True
    return False


def _wanted(hierarchy: Hierarchy, role: str) -> tuple[object, ...]:
    """What makes a CA of the hierarchy another one: subject, algorithms, usage."""
    said = hierarchy.subject.model_dump(exclude_none=True)
    subject = {"".join(word.title() for word in field.split("_")): value for field, value in said.items()}
    signs_leaves = role == _ISSUING or hierarchy.tiers == 1
    usage = USAGE_MODES[hierarchy.usage if signs_leaves else Usage.GENERAL_PURPOSE]
    return subject, hierarchy.key_algorithm, hierarchy.signing_algorithm, usage
