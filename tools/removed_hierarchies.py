"""
Hierarchies that the mesh file has no more while deployed stacks import the ARNs of their CAs: told before a deploy.

The stack of the CAs is deployed first, and CloudFormation keeps what another stack imports: it would take the deploy
back. In the opposite order it can be carried out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshcert.mesh.stacks.logical_ids import logical_id, root_output
from meshcert.mesh.stacks.shards import stacks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshcert.mesh import Mesh


def removed_hierarchies(
    mesh: Mesh, outputs: Iterable[Mapping[str, Any]], templates: Mapping[str, Mapping[str, Any]], steps: Sequence[str]
) -> Iterator[str]:
    """
    Each such hierarchy, with the way that can be carried out.

    Args:
        outputs: Those of the stack of the CAs, as CloudFormation describes them.
        templates: Those of all stacks that hold services or identities, by the stacks' names without the mesh's.
        steps: The commands that deploy all stacks in the opposite order.
    """
    outputs = list(outputs)
    declared = {logical_id(root_output(name)) for name in mesh.hierarchies}
    still = {*stacks_of("services", mesh.shards, mesh.services), *stacks_of("identities", mesh.shards, mesh.identities)}
    exports = {each["OutputValue"]: each["ExportName"] for each in outputs if each.get("ExportName")}
    for each in outputs:
        name = each["OutputKey"].removesuffix(root_output(""))
        if name == each["OutputKey"] or each["OutputKey"] in declared or each["OutputValue"] not in exports:
            continue
        imported = json.dumps({"Fn::ImportValue": exports[each["OutputValue"]]})[1:-1]
        stacks = sorted(stack for stack, template in templates.items() if imported in json.dumps(template))
        emptied = ", ".join(stack for stack in stacks if stack not in still)
        first = f'Destroy {emptied} first, as nothing is left in it (docs/mesh-file.md, "Shards"). ' if emptied else ""
        if stacks:
            yield (
                f"hierarchies.{name}: the file has it no more, and {', '.join(stacks)} of {mesh.name} still imports "
                "the ARN of its CA. CloudFormation keeps what is imported, and would take the deploy back. "
                f"{first}Deploy in the opposite order: {', then '.join(steps)} "
                '(docs/deploying.md, "Removing a hierarchy")'
            )
