"""``make diff`` against a CloudFormation that runs: what it has deployed is read back and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.local.aws.stacks import deploy
from tools.deploy_diff import difference

if TYPE_CHECKING:
    from local.running_aws import LocalAws


def _template(name: str) -> dict[str, Any]:
    return {"Resources": {"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}}}}


def test_what_is_deployed_is_compared_and_what_is_not_is_new(aws: LocalAws) -> None:
    """A log group of another name is another log group."""
    deploy(aws, "color-services", _template("/meshcert/color/teller")["Resources"])
    cloudformation = aws.client("cloudformation")

    same = list(difference(cloudformation, {"color-services": _template("/meshcert/color/teller")}))
    other = list(difference(cloudformation, {"color-services": _template("/meshcert/color/other")}))
    missing = list(difference(cloudformation, {"shop-services": _template("/meshcert/shop/teller")}))

    assert same[-1] == "Nothing would change."
    assert "  color-services: AWS::Logs::LogGroup Logs because of LogGroupName" in other
    assert missing[0] == "shop-services: not deployed yet, everything in it is new"
