"""What another stack imports: an update that drops or changes it is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.aws.patches.test_cloudformation_types import resource
from tests.local.aws.stacks import deploy, reasons_of

if TYPE_CHECKING:
    from local.running_aws import LocalAws

MADE = {"It": resource("AWS::CloudFormation::WaitConditionHandle")}
MORE = MADE | {"More": resource("AWS::CloudFormation::WaitConditionHandle")}
IMPORTING = {"Group": resource("AWS::Logs::LogGroup", LogGroupName={"Fn::ImportValue": "Exported"})}


@pytest.mark.parametrize(("exports", "change"), [({}, "deleted"), ({"Exported": "second"}, "updated")])
def test_an_export_in_use_stays_as_it_is(fresh_aws: LocalAws, exports: dict[str, str], change: str) -> None:
    """The update that would change it is taken back whole, and says who uses it."""
    deploy(fresh_aws, "exporting", MADE, exports={"Exported": "first"})
    deploy(fresh_aws, "importing", IMPORTING)

    status = deploy(fresh_aws, "exporting", MORE, exports=exports)

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert f"Export Exported cannot be {change} as it is in use by importing" in reasons_of(fresh_aws, "exporting")
    found = fresh_aws.client("cloudformation").list_exports()["Exports"]
    assert [(each["Name"], each["Value"]) for each in found] == [("Exported", "first")]


def test_what_nobody_imports_any_more_goes(fresh_aws: LocalAws) -> None:
    """And nobody can import it from then on."""
    deploy(fresh_aws, "exporting", MADE, exports={"Exported": "first"})
    deploy(fresh_aws, "importing", IMPORTING)
    deploy(fresh_aws, "importing", MADE)

    assert deploy(fresh_aws, "exporting", MORE) == "UPDATE_COMPLETE"
    assert deploy(fresh_aws, "importing", IMPORTING) == "UPDATE_ROLLBACK_COMPLETE"
