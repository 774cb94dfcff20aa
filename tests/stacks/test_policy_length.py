"""What IAM would refuse in the middle of a deploy for its length is told at synthesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aws_cdk import App, Aws, Stack
from aws_cdk import aws_iam as iam

from meshcert.errors import MeshInvalid
from stacks.constructs.containers import policy_length
from stacks.constructs.containers.policy_length import require_room_in_role
from stacks.constructs.rights import ecs_tasks
from tests.stacks.synthesis import assemble

if TYPE_CHECKING:
    from pathlib import Path


def statement(resource: str) -> iam.PolicyStatement:
    """A statement on one object."""
    return iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"arn:{Aws.PARTITION}:s3:::{resource}"])


@pytest.mark.parametrize("longest", [None, 0, 1, 2], ids=["all short", "rights", "your statements", "beside it"])
def test_all_inline_policies_of_a_role_count_together(longest: int | None) -> None:
    """Its rights, the statements of the mesh file, and what is beside them twice: an update adds the new one first."""
    lengths = [3_000, 3_000, 1_500]
    if longest is not None:
        lengths[longest] += 1_200
    inline, of_yours, beside = (statement("x" * length) for length in lengths)
    stack = Stack(App(), "services")
    document = iam.PolicyDocument(statements=[inline])
    role = iam.Role(stack, "Role", assumed_by=ecs_tasks(), inline_policies={"rights": document})
    role.add_to_policy(of_yours)
    policy = iam.Policy(stack, "Beside", roles=[role], statements=[beside])

    if longest is None:
        require_room_in_role(role, "orders", [policy])
        return
    with pytest.raises(MeshInvalid, match=r"services\.orders: .* take 1[01],\d{3} characters, and AWS allows 10,240"):
        require_room_in_role(role, "orders", [policy])


def test_a_mesh_with_a_role_that_is_too_long_is_not_synthesised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is named, and what makes its policies shorter."""
    monkeypatch.setattr(policy_length, "INLINE", 1_000)

    with pytest.raises(MeshInvalid, match=r"services\.color[a-z]+: .* Name a managed policy"):
        assemble(tmp_path)
