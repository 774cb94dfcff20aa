"""Trust policies of the roles that a mesh makes for others, as long as IAM counts them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_TRUST = 2_048
"""Characters of a role's trust policy without white space (IAM user guide, "IAM and AWS STS quotas")."""


def trust_length(principals: Sequence[str], condition: Mapping[str, object] | None = None) -> int:
    """
    Characters of a role's trust policy, in the words of the stacks; of :data:`LONGEST_TRUST`.

    Args:
        principals: ARNs of accounts, roles and users.
        condition: Which requests of theirs it admits; None: all of them.
    """
    statement = {
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if condition else {}),
        "Effect": "Allow",
        "Principal": {"AWS": principals},
    }
    return len(json.dumps({"Statement": [statement], "Version": "2012-10-17"}, separators=(",", ":")))
