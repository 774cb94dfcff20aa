"""What no deploy can carry out is told before one begins, with the way that can."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.running_mesh import wait_until
from meshcert import naming
from meshcert.mesh import Mesh, read_mesh
from tests.meshcert.mesh.mesh_slips import changed
from tools import first_deploy
from tools.moves.made import Made
from tools.moves.refused_moves import refused_moves

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws

VPC, NAMESPACE = "AWS::EC2::VPC", "AWS::ServiceDiscovery::PrivateDnsNamespace"
OWN = Made(frozenset({VPC, NAMESPACE}), frozenset({"colorgatewayRootCa", "colortellerRootCa"}))
NETWORK = {
    "vpc": "vpc-0123456789abcdef0",
    "cidrs": ["172.16.0.0/16"],
    "subnets": {"us-west-1a": "subnet-0123456789abcdef0"},
}
CA = {
    "arn": "arn:aws:acm-pca:us-west-1:111122223333:certificate-authority/01234567-89ab-cdef-0123-456789abcdef",
    "root": "root.pem",
}
YOURS = ("network", {"existing": NETWORK})
NAMED = ("mesh.namespace_id", "ns-0123456789abcdef")
SHARED_NAMESPACE = "arn:aws:servicediscovery:us-west-1:444455556666:namespace/ns-0123456789abcdef"
KEYED = ("mesh.secrets_key", "arn:aws:kms:us-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef")
OTHER_KEY = KEYED[1].replace("01234567-", "76543210-")
SIGNED = ("hierarchies.colorteller", {"existing": CA, "key_algorithm": "RSA_2048"})


def declared(*changes: tuple[str, object]) -> Mesh:
    """The Color app's mesh file with changes."""
    mesh = read_mesh(changed(*changes)).mesh
    assert mesh
    return mesh


def made(cloudformation: Any, stack: str, resources: dict[str, Any]) -> None:
    """Make a stack."""

    def is_there() -> bool:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return bool(found["StackStatus"] == "CREATE_COMPLETE")

    tags = [{"Key": naming.TAG, "Value": "color"}]
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps({"Resources": resources}), Tags=tags)
    wait_until(is_there, stack, within_s=30)


@pytest.mark.parametrize(
    ("changes", "deployed", "places"),
    [
        ([], OWN, []),
        ([YOURS], OWN, ["network.existing"]),
        ([YOURS, NAMED], OWN, ["network.existing", "mesh.namespace_id"]),
        ([YOURS], OWN._replace(kinds=frozenset({NAMESPACE})), []),
        ([YOURS, NAMED], OWN._replace(kinds=frozenset({NAMESPACE})), ["mesh.namespace_id"]),
        ([YOURS, NAMED], OWN._replace(kinds=frozenset()), []),
        ([], OWN._replace(kinds=frozenset({NAMESPACE})), ["network.existing"]),
        ([YOURS], OWN._replace(kinds=frozenset()), ["mesh.namespace_id"]),
        ([YOURS, NAMED], OWN._replace(kinds=frozenset(), namespace=NAMED[1]), []),
        ([YOURS, NAMED], OWN._replace(kinds=frozenset(), namespace=SHARED_NAMESPACE), ["mesh.namespace_id"]),
        ([SIGNED], OWN, ["hierarchies.colorteller.existing"]),
        ([SIGNED], OWN._replace(outputs=frozenset({"colorgatewayRootCa"})), []),
        ([YOURS, SIGNED], OWN._replace(kinds=None), ["hierarchies.colorteller.existing"]),
        ([KEYED], OWN._replace(secrets_key=""), ["mesh.secrets_key"]),
        ([], OWN._replace(secrets_key=KEYED[1]), ["mesh.secrets_key"]),
        ([KEYED], OWN._replace(secrets_key=OTHER_KEY), ["mesh.secrets_key"]),
        ([KEYED], OWN._replace(secrets_key=KEYED[1]), []),
        ([], OWN._replace(secrets_key=""), []),
    ],
    ids=[
        "made, and made",
        "made, then yours",
        "both",
        "yours, and yours",
        "a made namespace, then yours",
        "all yours",
        "yours, then made",
        "your namespace, then a made one",
        "your namespace, and that one",
        "your namespace, then another of yours",
        "made CAs, then yours",
        "a CA of yours",
        "CAs alone",
        "a made key, then yours",
        "your key, then a made one",
        "your key, then another of yours",
        "your key, and your key",
        "a made key, and a made one",
    ],
)
def test_what_was_made_does_not_become_yours_nor_the_other_way_round(
    changes: list[tuple[str, Any]], deployed: Made, places: list[str]
) -> None:
    """Each is told with its place and the way that works."""
    moves = list(refused_moves(declared(*changes), deployed))

    assert [move.partition(":")[0] for move in moves] == places
    assert all("docs/" in move for move in moves)


GROUPS = frozenset({"/meshcert/color/colorgateway", "/meshcert/color/colorteller"})


@pytest.mark.parametrize(
    ("changes", "groups", "told"),
    [
        ([], GROUPS, 1),
        ([("logs", {})], GROUPS, 1),
        ([("logs", {"group_per_service": True})], GROUPS, 0),
        ([("logs", {"group_per_service": False})], GROUPS, 0),
        ([], frozenset({"/meshcert/color", "/meshcert/other/colorteller"}), 0),
    ],
    ids=["left out", "left out of logs", "kept", "let go", "one group"],
)
def test_log_groups_of_services_go_only_if_the_file_says_so(
    changes: list[tuple[str, Any]], groups: frozenset[str], told: int
) -> None:
    """A month of lines is not lost by an upgrade that nobody has read about."""
    moves = list(refused_moves(declared(*changes), OWN._replace(log_groups=groups)))

    assert len(moves) == told
    assert all("/meshcert/color/colorgateway, /meshcert/color/colorteller would be deleted" in move for move in moves)


def test_groups_that_stay_by_themselves_are_no_loss() -> None:
    """Those that a deploy has marked as kept leave a template with their lines."""
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/meshcert/color/a"}}
    kept = group | {"DeletionPolicy": "RetainExceptOnCreate", "Properties": {"LogGroupName": "/meshcert/color/b"}}
    named = group | {"Properties": {"LogGroupName": {"Ref": "Name"}}}

    found = Made.of({"Resources": {"A": group, "B": kept, "C": named}}, frozenset())

    assert found.log_groups == {"/meshcert/color/a"}


def test_the_namespace_of_services_is_told_by_the_template() -> None:
    """Where it is somebody's; a reference is to a made one."""

    def found(**properties: Any) -> str:
        service = {"Type": "AWS::ServiceDiscovery::Service", "Properties": properties}
        return Made.of({"Resources": {"A": service}}, frozenset()).namespace

    assert found(NamespaceId=SHARED_NAMESPACE, DnsConfig={}) == SHARED_NAMESPACE
    assert found(DnsConfig={"NamespaceId": "ns-1"}) == "ns-1"
    assert found(DnsConfig={"NamespaceId": {"Ref": "Zone"}}) == ""


def test_a_deploy_that_would_move_a_deployed_mesh_does_not_begin(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it was, the same command deploys; and with what is new in a shard, which knows that AWS was asked."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    cloudformation = aws.client("cloudformation")
    zone = {"Type": NAMESPACE, "Properties": {"Name": "a.local", "Vpc": {"Ref": "Vpc"}}}
    network = {"Vpc": {"Type": VPC, "Properties": {"CidrBlock": "10.0.0.0/16"}}, "Zone": zone}
    nothing = {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    teller = {"Teller": {"Type": "AWS::ECS::Service", "Properties": {"ServiceName": "colorteller", "DesiredCount": 0}}}
    for part, resources in (("services", network | teller), ("pki", nothing)):
        made(cloudformation, f"color-{part}", resources)
    file, mark = tmp_path / "mesh.yaml", tmp_path / "deployed"
    deploy = ["sh", "-c", 'echo "$@" > "$1"', "sh", str(mark), "-c", f"mesh={file}"]

    file.write_bytes(changed(YOURS))
    refused = first_deploy.main(deploy, tmp_path / "kept")

    assert (refused, mark.exists()) == (1, False)
    assert "A mesh does not move" in capsys.readouterr().err
    file.write_bytes(changed(("shards", {"back": ["colorteller"]})))
    assert first_deploy.main(deploy, tmp_path / "kept") == 1
    assert (
        "colorteller: deployed by the stack color-services, and this has color-services-back" in capsys.readouterr().err
    )
    for changes, told in ([], False), ([("shards", {"front": ["colorgateway"]})], True):
        file.write_bytes(changed(*changes))
        assert first_deploy.main(deploy, tmp_path / "kept") == 0
        assert ("moves_asked=true" in mark.read_text()) == told


@pytest.mark.parametrize(
    ("filtered", "asked"), [(frozenset({"/home"}), 0), (frozenset({"/other"}), 1)], ids=["as it was", "another"]
)
def test_a_deploy_that_goes_over_to_a_log_group_of_yours_asks_about_it(
    filtered: frozenset[str], asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And does not begin if something is amiss."""
    file, questions = tmp_path / "mesh.yaml", []
    file.write_bytes(changed(("logs", {"existing": "/home"})))

    def ask(question: list[str]) -> int:
        questions.append(question)
        return 1

    monkeypatch.setattr("tools.verify_aws.main", ask)
    monkeypatch.setattr("tools.first_deploy.KnownDeploy.is_first", False)
    monkeypatch.setattr("tools.first_deploy.KnownDeploy.made", lambda _: OWN._replace(filtered=filtered))
    monkeypatch.setattr("tools.first_deploy.KnownDeploy.still_in_use", lambda _: [])

    code = first_deploy.main(["true", "-c", f"mesh={file}"], tmp_path / "kept")

    assert (code, questions) == (asked, [["--before", "--mesh", str(file)]] * asked)


HOMES = {
    ("services", "colorgateway"): "services",
    ("services", "colorteller"): "services-back",
    ("identities", "colorgateway"): "identities",
    ("identities", "colorteller"): "identities-back",
}


@pytest.mark.parametrize(
    ("shards", "told"),
    [
        ({"back": ["colorteller"]}, []),
        (
            {},
            [
                "colorteller: deployed by the stack color-identities-back, and this has color-identities make it",
                "colorteller: deployed by the stack color-services-back, and this has color-services make it",
            ],
        ),
        (
            {"back": ["color*"]},
            [
                "colorgateway: deployed by the stack color-identities, and this has color-identities-back make it",
                "colorgateway: deployed by the stack color-services, and this has color-services-back make it",
            ],
        ),
        ({"other": ["colorteller"]}, ["make it"] * 2),
    ],
    ids=["as it was", "out of its shard", "into a shard", "into another one"],
)
def test_what_is_deployed_moves_into_no_shard_and_out_of_none(shards: dict[str, list[str]], told: list[str]) -> None:
    """CloudFormation would find names taken after minutes, or take a service away that is called."""
    moves = list(refused_moves(declared(("shards", shards)), OWN._replace(homes=HOMES)))

    assert len(moves) == len(told)
    assert all(sentence in move for sentence, move in zip(told, moves, strict=True))


CALLED = {("services", "colorgateway"): "services-front", ("services", "colorteller"): "services-back"}
BY_ITSELF = OWN._replace(homes=CALLED, admitted=frozenset({("colorteller", "colorgateway")}))
SHARING = OWN._replace(homes=CALLED, admitted=frozenset({("colorteller", "")}), sharing=frozenset({"colorgateway"}))


@pytest.mark.parametrize(
    ("most", "deployed", "told"),
    [
        (0, BY_ITSELF, "which tasks of colorgateway do not have yet"),
        (0, BY_ITSELF._replace(sharing=frozenset({"colorgateway"})), ""),
        (0, BY_ITSELF._replace(admitted=frozenset({("colorteller", "another")})), ""),
        (0, BY_ITSELF._replace(homes=dict.fromkeys(CALLED, "services-back")), ""),
        (0, BY_ITSELF._replace(homes={("services", "colorteller"): "services-back"}), ""),
        (0, BY_ITSELF._replace(homes={("services", "colorgateway"): "services-front"}), ""),
        (1, SHARING, "which new tasks of colorgateway would not have"),
        (1, SHARING._replace(admitted=frozenset({("colorteller", ""), ("colorteller", "colorgateway")})), ""),
        (1, SHARING._replace(sharing=frozenset()), ""),
        (1, SHARING._replace(homes=dict.fromkeys(CALLED, "services-back")), ""),
    ],
    ids=[
        "up",
        "up, with the group",
        "up, and it did not call",
        "up, in one stack",
        "a new caller",
        "a new callee",
        "down",
        "down, one by one",
        "down, and it did not call",
        "down, in one stack",
    ],
)
def test_a_running_caller_is_let_in_whichever_stack_is_deployed_first(
    most: int, deployed: Made, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above so many callers or below again; and the deploy that the sentence names is refused neither way."""
    for name in ("JOINED_FROM", "MOST_ONE_BY_ONE"):
        monkeypatch.setattr(f"meshcert.mesh.edges.callers.{name}", most)
    mesh = declared(("shards", {"front": ["colorgateway"], "back": ["colorteller"]}))

    moves = [move for move in refused_moves(mesh, deployed) if move.startswith("services.colorteller: 1 services")]

    assert len(moves) == bool(told)
    assert all(told in move and 'ARGS="-c callers_one_by_one=colorteller"' in move for move in moves)
    assert not any(move.startswith("services.") for move in refused_moves(mesh, deployed, ["colorteller"]))


def test_a_stack_says_which_services_and_identities_it_has_made() -> None:
    """Those of the user's by their settings; which tasks have a second security group, and who lets whom in."""

    def groups(number: int) -> dict[str, Any]:
        return {"AwsvpcConfiguration": {"SecurityGroups": ["sg"] * number}}

    def rule(callee: object, caller: object) -> dict[str, Any]:
        properties = {"GroupId": callee, "SourceSecurityGroupId": caller}
        return {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": properties}

    resources = {
        "A": {"Type": "AWS::ECS::Service", "Properties": {"ServiceName": "a", "NetworkConfiguration": groups(1)}},
        "E": {"Type": "AWS::ECS::Service", "Properties": {"ServiceName": "e", "NetworkConfiguration": groups(2)}},
        "B": {"Type": "Custom::MeshcertSettings", "Properties": {"Service": "b"}},
        "C": {"Type": "Custom::MeshcertIdentity", "Properties": {"Identity": "c"}},
        "D": {"Type": "AWS::EC2::SecurityGroup", "Properties": {}},
        "P": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/meshcert/color/group/a", "Value": {"Ref": "D"}}},
        "R": rule({"Ref": "D"}, {"Ref": "Callers"}),
        "S": rule("sg-0123456789abcdef0", {"Ref": "D"}),
        "T": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {"GroupId": {"Ref": "D"}, "CidrIp": "10.0.0.0/8"},
        },
    }
    parameters = {"Callers": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/meshcert/color/callers"}}

    stack = {"Resources": resources, "Parameters": parameters}
    found = Made.of({"Resources": {}}, frozenset(), others={"services-x": stack})

    names = [("services", "a"), ("services", "e"), ("services", "b"), ("identities", "c")]
    assert found.homes == dict.fromkeys(names, "services-x")
    assert found.sharing == {"e"}
    assert found.admitted == {("a", ""), ("sg-0123456789abcdef0", "a")}


def test_a_deploy_that_nothing_was_asked_of_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the right to read templates it runs all the same, and names the right."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed())
    monkeypatch.setattr("tools.first_deploy.KnownDeploy.is_first", False)
    monkeypatch.setattr("tools.first_deploy.KnownDeploy.made", lambda _: None)

    assert first_deploy.main(["true", "-c", f"mesh={file}"], tmp_path / "kept") == 0
    assert "cloudformation:GetTemplate" in capsys.readouterr().err
