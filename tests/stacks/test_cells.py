"""Stacks of cells: names, accounts and shares of their own, and rights on the shared CAs alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from evidence.fixtures.pki import Hierarchy
from meshcert.mesh import load_mesh, proxy_settings
from meshcert.mesh.cells.slices import RemoteCallers, Sharing, in_cell, sharing, using_cells
from meshcert.mesh.stacks.trust_policies import LONGEST_TRUST
from meshcert.publishing.declared_bundles import listed_elsewhere, read_bundles
from stacks.cells import add_cell
from stacks.constructs.containers.task_rights import task_rights
from stacks.constructs.crossings import discovery_role
from stacks.constructs.network import placement
from stacks.runtime import Platform
from tests.meshcert.mesh.cells.yelb import (
    AUTHORITIES,
    BACKEND,
    DEPLOYED,
    FAR,
    FRONTEND,
    IN_ONE_NAMESPACE,
    LIST,
    LISTED,
    OVER_A_REGION,
    SHARED,
    SHARED_NAMESPACE,
    mesh,
    text,
)
from tests.stacks.synthesis import CONTEXT
from tools import deploy_diff

if TYPE_CHECKING:
    from aws_cdk.cx_api import CloudFormationStackArtifact

    Stacks = dict[str, CloudFormationStackArtifact]


CALLER = f"arn:aws:iam::{FRONTEND}:role/meshcert-yelb-eu-west-1-ui"
DISCOVERY = f"arn:aws:iam::{BACKEND}:role/meshcert-yelb-eu-west-1-cells.discovery"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mesh file after the first deploy of the shared cell, with the roots that it names."""
    folder = tmp_path_factory.mktemp("cells")
    for name in AUTHORITIES:
        (folder / f"{name}.pem").write_text(Hierarchy().root_pem)
    (folder / "mesh.yaml").write_bytes(text(*DEPLOYED))
    return folder


@pytest.fixture(scope="module")
def stacks(folder: Path) -> Stacks:
    """The stacks of the shared cell and of the backend's, by name."""
    return _synthesised(folder, folder / "mesh.yaml", "out")


def _synthesised(folder: Path, file: Path, out: str) -> Stacks:
    app = App(outdir=str(folder / out), context={**CONTEXT, "mesh": str(file)})
    whole = load_mesh(file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stacks.identities.ROOT", folder)
        for cell in ("shared", "backend"):
            add_cell(app, whole, cell, Platform.from_context(app.node))
    return {stack.stack_name: stack for stack in app.synth().stacks_recursively}


def resources(stack: CloudFormationStackArtifact, kind: str) -> list[dict[str, Any]]:
    """The properties of a stack's resources of one type."""
    return [each["Properties"] for each in stack.template["Resources"].values() if each["Type"] == kind]


def test_each_cell_has_stacks_of_its_own_in_its_account(stacks: Stacks) -> None:
    """A cell without services has its CAs and nothing else; nothing is looked up for any."""
    assert {name: (stack.environment.account, stack.environment.region) for name, stack in stacks.items()} == {
        "yelb-shared-pki": (SHARED, "eu-west-1"),
        "yelb-backend-pki": (BACKEND, "eu-west-1"),
        "yelb-backend-identities": (BACKEND, "eu-west-1"),
        "yelb-backend-services": (BACKEND, "eu-west-1"),
        "yelb-backend-renewal": (BACKEND, "eu-west-1"),
    }
    manifests = [Path(stack.assembly.directory, "manifest.json").read_text() for stack in stacks.values()]
    assert not any("missing" in json.loads(manifest) for manifest in manifests)


def test_each_ca_is_shared_to_issue_and_to_read_with_who_needs_it(stacks: Stacks) -> None:
    """The permission to issue is AWS's own; to read, three actions that are no writes."""
    shares = {each["Name"]: each for each in resources(stacks["yelb-shared-pki"], "AWS::RAM::ResourceShare")}
    permissions = resources(stacks["yelb-shared-pki"], "AWS::RAM::Permission")

    assert {name: each["Principals"] for name, each in shares.items()} == {
        "meshcert-yelb-edge-issue": [FRONTEND],
        "meshcert-yelb-edge-read": [FRONTEND],
        "meshcert-yelb-inner-issue": [FRONTEND, BACKEND],
        "meshcert-yelb-inner-read": [FRONTEND, BACKEND],
    }
    assert "AWSRAMDefaultPermissionCertificateAuthority" in json.dumps(shares["meshcert-yelb-edge-issue"])
    for permission in permissions:
        actions = permission["PolicyTemplate"]["Action"]
        assert all(action.split(":")[1].startswith(("Get", "Describe", "List")) for action in actions)


def test_no_right_of_a_cell_is_on_another_cells_anything_but_its_ca(stacks: Stacks) -> None:
    """Every other ARN that a policy names is of the cell's own account, but for the callers that one role trusts."""
    written = json.dumps([stack.template for name, stack in stacks.items() if name.startswith("yelb-backend-")])

    foreign = {part for part in written.split('"') if SHARED in part or FRONTEND in part}

    assert foreign == {AUTHORITIES["inner"], f"arn:aws:iam::{FRONTEND}:root", CALLER}


def test_one_role_of_a_cell_may_be_assumed_across_and_finds_what_is_called(stacks: Stacks) -> None:
    """By the tasks of callers, as far as their own role lets them; it finds what they call, and does nothing more."""
    every = [role for name, stack in stacks.items() for role in resources(stack, "AWS::IAM::Role")]

    (role,) = (role for role in every if FRONTEND in json.dumps(role["AssumeRolePolicyDocument"]))
    assert role["RoleName"] == {"Fn::Join": ["", ["meshcert-yelb-", {"Ref": "AWS::Region"}, "-cells.discovery"]]}
    assert "ManagedPolicyArns" not in role
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{FRONTEND}:root"},
            "Condition": {"ArnLike": {"aws:PrincipalArn": [CALLER]}},
        }
    ]
    names = {
        "servicediscovery:NamespaceName": "backend.yelb.internal",
        "servicediscovery:ServiceName": ["appserver"],
    }
    (policy,) = role["Policies"]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Sid": "FindCalledServices",
            "Effect": "Allow",
            "Action": ["servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision"],
            "Resource": "*",
            "Condition": {"StringEquals": names},
        },
        {
            "Sid": "NothingElse",
            "Effect": "Deny",
            "NotAction": ["servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision"],
            "Resource": "*",
        },
    ]


def test_callers_of_another_cell_may_assume_its_role_and_ask_cloud_map_of_nothing() -> None:
    """Those alone that call it."""
    frontend = in_cell(mesh(*DEPLOYED), "frontend")
    rights = {
        service: [
            right.to_statement_json()
            for right in task_rights(frontend, service, proxy_settings(frontend, service), authorities={}, key_arn="k")
        ]
        for service in ("gateway", "ui")
    }

    reaching = {
        service: [right for right in of_service if "sts" in str(right) or "servicediscovery" in str(right)]
        for service, of_service in rights.items()
    }
    assert reaching["ui"] == [
        {"Sid": "FindBackendsOfOtherCells", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": DISCOVERY}
    ]
    assert [right["Sid"] for right in reaching["gateway"]] == ["FindItsBackends"]


@pytest.mark.parametrize(
    ("accounts", "callers", "exact"), [(1, 2, True), (1, 20, True), (1, 40, False), (9, 1, True), (18, 2, False)]
)
def test_a_trust_policy_has_room_for_its_callers(accounts: int, callers: int, exact: bool) -> None:  # noqa: FBT001
    """2,048 characters by default; more callers than that are any role of the mesh in their cells."""
    owners = tuple(str(100_000_000_000 + n) for n in range(accounts))
    roles = tuple(
        f"arn:aws:iam::{owner}:role/meshcert-a-eu-west-1-service-of-number-{n:02}"
        for owner in owners
        for n in range(callers)
    )
    any_role = tuple(f"arn:aws:iam::{owner}:role/meshcert-a-eu-west-1-*" for owner in owners)
    remote = RemoteCallers(owners, roles, any_role, ("appserver",))
    stack = Stack(App(context=CONTEXT), "trust")
    discovery_role(stack, mesh(), remote)
    (role,) = Template.from_stack(stack).find_resources("AWS::IAM::Role").values()
    document = role["Properties"]["AssumeRolePolicyDocument"]

    (statement,) = document["Statement"]
    assert statement["Condition"] == {"ArnLike": {"aws:PrincipalArn": list(roles if exact else any_role)}}
    named = statement["Principal"]["AWS"]
    assert (named if accounts > 1 else [named]) == [f"arn:aws:iam::{owner}:root" for owner in owners]
    # What the mesh's checks measure is what IAM gets; it writes one account without the list's brackets.
    length = len(json.dumps(document, separators=(",", ":")))
    assert length == remote.trust_length - 2 * (accounts == 1)
    assert length <= LONGEST_TRUST == 2_048


def test_where_no_route_leads_out_roles_are_assumed_by_an_endpoint() -> None:
    """One of AWS STS, besides the others; no other cell and no mesh without cells has one."""
    changes = (*DEPLOYED, ("cells.frontend.network.egress", "endpoints"), ("cells.backend.network.egress", "endpoints"))
    whole = mesh(*changes)
    services = {cell: in_cell(whole, cell) for cell in ("frontend", "backend")}
    interfaces = {}
    for cell, part in services.items():
        stack = Stack(App(), cell)
        placement(stack, part)
        endpoints = Template.from_stack(stack).find_resources("AWS::EC2::VPCEndpoint").values()
        names = json.dumps([each["Properties"]["ServiceName"] for each in endpoints])
        interfaces[cell] = (len(endpoints), ".sts" in names)

    assert interfaces == {"frontend": (8, True), "backend": (7, False)}


@pytest.fixture(scope="module")
def listed(folder: Path) -> Stacks:
    """The stacks of the shared cell and of the backend's, with revocation lists of one hierarchy."""
    file = folder / "listed.yaml"
    file.write_bytes(text(*DEPLOYED, *LISTED))
    return _synthesised(folder, file, "listed")


def statements(stack: CloudFormationStackArtifact, kind: str) -> list[dict[str, Any]]:
    """The statements of a stack's policies, and of roles with policies of their own."""
    documents = [each["PolicyDocument"] for each in resources(stack, kind) if "PolicyDocument" in each]
    documents += [policy["PolicyDocument"] for each in resources(stack, kind) for policy in each.get("Policies", ())]
    return [statement for document in documents for statement in document["Statement"]]


def test_the_owners_bucket_admits_the_accounts_that_read_its_lists_and_no_other(listed: Stacks) -> None:
    """To read lists alone; it is the cell's own that writes."""
    found = statements(listed["yelb-shared-pki"], "AWS::S3::BucketPolicy")
    (reading,) = (each for each in found if each.get("Sid") == "OtherCellsReadLists")
    principals = json.dumps(reading["Principal"])

    assert (reading["Effect"], reading["Action"]) == ("Allow", ["s3:GetObject", "s3:ListBucket"])
    assert [account in principals for account in (FRONTEND, BACKEND, SHARED)] == [True, True, False]
    assert "crl/*" in json.dumps(reading["Resource"])


def test_a_cell_reads_the_lists_of_the_cas_that_it_trusts_in_their_owners_bucket(listed: Stacks) -> None:
    """Its tasks that one object; its deploy looks at it before peers are looked up in it. It makes no bucket."""
    object_of_it = LIST.removeprefix("s3://")
    of_tasks = statements(listed["yelb-backend-services"], "AWS::IAM::Role")
    of_deploy = statements(listed["yelb-backend-identities"], "AWS::IAM::Policy")

    assert not resources(listed["yelb-backend-pki"], "AWS::S3::Bucket")
    for found in (of_tasks, of_deploy):
        read = [
            each
            for each in found
            if "s3:GetObject" in each.get("Action", ()) and "meshcert-yelb-crl" in json.dumps(each)
        ]
        assert read
        assert all(json.dumps(each["Resource"]).endswith(f':s3:::{object_of_it}"]]}}') for each in read)
    (bundle,) = resources(listed["yelb-backend-identities"], "Custom::MeshcertTrustBundle")
    assert bundle["NamedLists"] == [{"CertificateAuthorityArn": AUTHORITIES["inner"], "Locations": [LIST]}]


def test_the_deploy_function_knows_which_lists_the_file_names(listed: Stacks) -> None:
    """CloudFormation alone writes its environment; another place is refused."""
    functions = resources(listed["yelb-backend-identities"], "AWS::Lambda::Function")
    (text_of_bundles,) = (
        each["Environment"]["Variables"]["MESHCERT_TRUST_BUNDLES"]
        for each in functions
        if each["FunctionName"] == "meshcert-yelb-deploy"
    )
    flat = text_of_bundles if isinstance(text_of_bundles, str) else "".join(map(str, text_of_bundles["Fn::Join"][1]))

    assert read_bundles(flat)["inner"].listed == {listed_elsewhere(AUTHORITIES["inner"], [LIST])}


def test_services_are_made_in_a_namespace_that_another_account_shares(folder: Path) -> None:
    """By its ARN, without tags, not even a stack's; callers ask with their own rights, and no role is assumed."""
    file = folder / "one-namespace.yaml"
    file.write_bytes(text(*DEPLOYED, *IN_ONE_NAMESPACE))
    services = _synthesised(folder, file, "one-namespace")["yelb-backend-services"]

    made = resources(services, "AWS::ServiceDiscovery::Service")
    named = [(each["Name"], each["NamespaceId"], {"NamespaceId"} & each["DnsConfig"].keys()) for each in made]
    # There CloudFormation takes an id alone.
    assert sorted(named) == [(name, SHARED_NAMESPACE, set()) for name in ("appserver", "postgres", "redis")]
    assert not any("Tags" in each for each in made)
    assert services.tags == {}
    assert resources(services, "AWS::ECS::Service")[0]["Tags"]
    assert not resources(services, "AWS::ServiceDiscovery::PrivateDnsNamespace")
    assert "cells.discovery" not in json.dumps(services.template)
    frontend = in_cell(mesh(*DEPLOYED, *IN_ONE_NAMESPACE), "frontend")
    ui = proxy_settings(frontend, "ui")
    (right,) = [
        each.to_statement_json()
        for each in task_rights(frontend, "ui", ui, authorities={}, key_arn="k")
        if each.sid == "FindItsBackends"
    ]
    names = {"servicediscovery:NamespaceName": "yelb.internal", "servicediscovery:ServiceName": ["appserver"]}
    assert right["Condition"] == {"StringEquals": names}


def test_of_a_ca_of_another_region_a_cell_has_the_root_and_nothing_else(folder: Path) -> None:
    """It stands in the request for the trust bundle; no right, no share and no question is about that CA."""
    arn = AUTHORITIES["inner"].replace("eu-west-1", FAR).replace(SHARED, BACKEND)
    far = ("hierarchies.far.authority", {"arn": arn, "root": "inner.pem"})
    file = folder / "far.yaml"
    file.write_bytes(text(*OVER_A_REGION, *DEPLOYED, far))

    found = _synthesised(folder, file, "far")

    there, shared = found["yelb-backend-identities"], found["yelb-shared-pki"]
    (bundle,) = (each for each in resources(there, "Custom::MeshcertTrustBundle") if each["Hierarchy"] == "inner")
    assert bundle["RootCertificateAuthorityArn"] == AUTHORITIES["inner"]
    assert bundle["RemoteRoots"] == {AUTHORITIES["inner"]: (folder / "inner.pem").read_text().strip() + "\n"}
    assert "Existing" not in bundle
    assert [each for each in statements(there, "AWS::IAM::Policy") if AUTHORITIES["inner"] in str(each)] == []
    readers = {each["Name"]: each["Principals"] for each in resources(shared, "AWS::RAM::ResourceShare")}
    assert {account for accounts in readers.values() for account in accounts} == {FRONTEND}
    mesh = load_mesh(file)
    assert sharing(mesh, "backend") == {"far": Sharing((), ())}
    assert using_cells(mesh, "backend") == ("frontend",)
    assert resources(found["yelb-backend-pki"], "AWS::RAM::ResourceShare") == []
    assert "farSharedCa" in found["yelb-backend-pki"].template["Outputs"]


def test_a_call_from_another_cell_is_let_in_by_its_network(stacks: Stacks) -> None:
    """On the one port, to the one service."""
    groups = resources(stacks["yelb-backend-services"], "AWS::EC2::SecurityGroup")
    admitted = {
        group["GroupDescription"]: (rule["CidrIp"], rule["FromPort"])
        for group in groups
        for rule in group.get("SecurityGroupIngress", ())
        if "CidrIp" in rule
    }

    assert admitted == {"Tasks of appserver": ("10.1.0.0/16", 9443)}


def test_a_cell_whose_cas_nobody_knows_yet_has_no_stacks(folder: Path) -> None:
    """The synthesis says which cell comes first."""
    file = folder / "early.yaml"
    file.write_bytes(text())
    app = App(outdir=str(folder / "early"), context={**CONTEXT, "mesh": str(file)})

    told = add_cell(app, load_mesh(file), "backend", Platform.from_context(app.node))

    assert app.synth().stacks_recursively == []
    assert "hierarchies.inner.authority is missing" in told
    assert told.endswith("make deploy-cell CELL=shared")


def test_a_diff_is_of_one_cell(stacks: Stacks, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is in an account of its own; without a cell, or with one that is not there, nothing is compared."""
    assembly = folder / "out"

    found = deploy_diff.cells_in(assembly)

    assert {name: (each.account, each.region) for name, each in found.items()} == {
        "shared": (SHARED, "eu-west-1"),
        "backend": (BACKEND, "eu-west-1"),
    }
    assert list(deploy_diff.assembled(found["backend"].assembly)) == [
        name for name in stacks if name.startswith("yelb-backend-")
    ]
    for cell in ([], ["--cell", "elsewhere"]):
        assert deploy_diff.main(["--assembly", str(assembly), *cell]) == deploy_diff.UNUSABLE
        assert "CELL=... (shared, backend)" in capsys.readouterr().err
