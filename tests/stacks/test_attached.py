"""Attached services: what the mesh makes for them, what it does not, and that no two tellers of the sidecar differ."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import App, Aws, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

from meshcert.cli.mesh_files.sidecar import sidecar_document
from meshcert.contract.route_rows import SETTINGS_PREFIX
from meshcert.documents.stored_settings import SettingsRow
from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh, sidecar, task_settings
from meshcert.mesh.checks.limits import resources
from meshcert.proxy import ProxySettings
from stacks.constructs.attached.sidecar import EnvoySidecar
from stacks.constructs.containers.policy_length import require_room
from tests.stacks.synthesis import ROOT, assemble

if TYPE_CHECKING:
    from pathlib import Path

FILE = ROOT / "examples" / "own-cdk-app" / "mesh.yaml"
MESH = load_mesh(FILE)
TASKS = "sg-0123456789abcdef0"
Template = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The resources of the example's mesh, by stack."""
    found = assemble(tmp_path_factory.mktemp("attached"), mesh=str(FILE))
    return {stack.stack_name.removeprefix("shop-"): stack.template["Resources"] for stack in found}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The resources of the example's own CDK app, with the sidecar."""
    return _own(tmp_path_factory.mktemp("own"), str(FILE))


def _own(folder: Path, mesh: str) -> Template:
    spec = importlib.util.spec_from_file_location("own_app", ROOT / "examples" / "own-cdk-app" / "own_app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app = module.build(App(outdir=str(folder), context={"mesh": mesh} if mesh else {}))
    resources: Template = app.synth().get_stack_by_name("own").template["Resources"]
    return resources


def _of(template: Template, kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template.values() if resource["Type"] == kind]


def test_no_task_definition_and_no_service_is_made_for_it(stacks: dict[str, Template]) -> None:
    """Only the gateway is the mesh's own."""
    assert [task["Family"] for task in _of(stacks["services"], "AWS::ECS::TaskDefinition")] == ["meshcert-shop-edge"]
    assert [service["ServiceName"] for service in _of(stacks["services"], "AWS::ECS::Service")] == ["edge"]
    named = [json.dumps(role["RoleName"]) for role in _of(stacks["services"], "AWS::IAM::Role")]
    assert [name for name in named if "orders" in name] == []


def test_its_resources_are_counted_as_the_stacks_have_them(stacks: dict[str, Template]) -> None:
    """No task definition, role, service and group; two of them with one security group have one rule."""
    counted = resources(MESH)

    assert counted == {stack: len(stacks[stack]) for stack in counted}


def test_a_rule_that_two_services_with_one_security_group_need_is_there_once(stacks: dict[str, Template]) -> None:
    """Of the same rule twice EC2 keeps one, and it goes with whichever service leaves first; the job has a second."""
    rules = [
        json.dumps({**each, "Description": ""}) for each in _of(stacks["services"], "AWS::EC2::SecurityGroupIngress")
    ]

    assert sum(TASKS in rule for rule in rules) == 2
    assert len(rules) == len(set(rules))


def test_its_policy_lets_it_read_its_own_and_no_other(stacks: dict[str, Template]) -> None:
    """Its settings, its secrets, its roots, and a row of acknowledgements to write."""
    policies = {
        json.dumps(each["ManagedPolicyName"]): each for each in _of(stacks["services"], "AWS::IAM::ManagedPolicy")
    }
    (orders,) = [each for name, each in policies.items() if "orders" in name]
    statements = {each["Sid"]: each for each in orders["PolicyDocument"]["Statement"]}
    keys = {
        sid: each["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]
        for sid, each in statements.items()
        if "dynamodb" in json.dumps(each["Action"])
    }

    assert keys == {"ReadItsSettings": [f"{SETTINGS_PREFIX}orders"], "Acknowledge": ["orders"]}
    assert set(statements) == {*keys, "ReadItsSecrets", "DecryptItsSecrets"}
    assert statements["ReadItsSettings"]["Action"] == "dynamodb:GetItem"
    opened = statements["DecryptItsSecrets"]["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]
    own, *roots = opened
    assert own in statements["ReadItsSecrets"]["Resource"]
    assert [
        "identity/orders-" in json.dumps(own),
        *(":secret:meshcert/shop/trust/*" in json.dumps(each) for each in roots),
    ] == [True, True]
    assert "stock" not in json.dumps(statements)


def test_operators_alone_see_what_leads_past_envoys(stacks: dict[str, Template]) -> None:
    """``stock`` is STRICT. Neither action has a narrower resource, and no task definition is shown."""
    seeing = {"ec2:DescribeSecurityGroups", "servicediscovery:GetService"}
    found = {
        (role["Ref"], statement["Action"]): statement
        for template in stacks.values()
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for policy in _of(template, kind)
        for role in policy.get("Roles", [{"Ref": "somebody"}])
        for statement in policy["PolicyDocument"]["Statement"]
        if {*_listed(statement["Action"])} & {*seeing, "ecs:DescribeTaskDefinition"}
    }

    assert {action for _, action in found} == seeing
    assert all(role.startswith("Operator") for role, _ in found)
    groups, registrations = (found[key] for key in sorted(found, key=lambda key: key[1]))
    assert groups["Resource"] == "*"
    assert groups["Condition"] == {"StringEquals": {"aws:RequestedRegion": {"Ref": "AWS::Region"}}}
    assert json.dumps(registrations["Resource"]).endswith(':service/*"]]}')


def test_an_attached_service_is_registered_in_a_namespace_that_another_account_shares(tmp_path: Path) -> None:
    """By the namespace's ARN and without tags; operators see what services in it are called, the owner's as well."""
    arn = "arn:aws:servicediscovery:us-west-1:444455556666:namespace/ns-0123456789abcdef"
    file = tmp_path / "mesh.yaml"
    file.write_text(FILE.read_text().replace("  namespace: shop", f"  namespace_id: {arn}\n  namespace: shop", 1))
    assert load_mesh(file).about.namespace_id == arn
    found = {
        stack.stack_name.removeprefix("shop-"): stack.template["Resources"]
        for stack in assemble(tmp_path / "out", mesh=str(file))
    }

    made = _of(found["services"], "AWS::ServiceDiscovery::Service")
    assert {
        (each["NamespaceId"], *each.keys() & {"Tags"}, *each["DnsConfig"].keys() & {"NamespaceId"}) for each in made
    } == {(arn,)}
    assert ":444455556666:service/*" in json.dumps(_of(found["renewal"], "AWS::IAM::Policy"))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_a_policy_that_aws_would_refuse_is_told_before_the_deploy() -> None:
    """With what it takes and what there is room for; references count as what they become."""
    stack = Stack(App(), "own")

    def policy(backends: int) -> iam.PolicyDocument:
        names = [f"a-backend-of-the-mesh-{number:03}" for number in range(backends)]
        arn = f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret:meshcert/shop/identity/orders"
        find = {"StringEquals": {"servicediscovery:ServiceName": names}}
        reads = [iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[arn])]
        finds = [iam.PolicyStatement(actions=["servicediscovery:DiscoverInstances"], resources=["*"], conditions=find)]
        return iam.PolicyDocument(statements=reads + finds)

    require_room(stack, "orders", policy(200))
    with pytest.raises(MeshInvalid, match=r"services\.orders\.attached.* takes 7,\d{3} characters.* allows 6,144"):
        require_room(stack, "orders", policy(250))


def test_its_row_has_the_settings_of_its_proxy(stacks: dict[str, Template]) -> None:
    """The same as a task definition of ours would have; a change of theirs changes the version."""
    rows = {each["Service"]: each for each in _of(stacks["services"], "Custom::MeshcertSettings")}
    row = SettingsRow("routes", "orders")
    text = row.open(row.content(rows["orders"]["Document"], rows["orders"]["Version"]))

    assert set(rows) == {"orders", "report", "stock"}
    assert ProxySettings.from_json(text) == task_settings(MESH, "orders")
    assert rows["orders"]["Identities"] == ["orders"]


def test_callers_get_rules_for_the_group_that_the_file_names(stacks: dict[str, Template]) -> None:
    """And nothing else of that group changes."""
    rules = _of(stacks["services"], "AWS::EC2::SecurityGroupIngress")

    assert (TASKS, 9443) in [(rule["GroupId"], rule["FromPort"]) for rule in rules]


def test_the_lifecycle_may_deploy_exactly_these_services(stacks: dict[str, Template]) -> None:
    """Others of the cluster are their owners'; rules hear of these alone."""
    statements = [
        statement
        for policy in _of(stacks["renewal"], "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "ecs:UpdateService" in statement["Action"]
    ]
    (statement,) = statements
    named = json.dumps(statement["Resource"])

    assert [f":service/{name}" in named for name in ("own/orders", "own/stock", "own/*")] == [True, True, False]
    heard = json.dumps([rule["EventPattern"] for rule in _of(stacks["renewal"], "AWS::Events::Rule")])
    assert '"service:orders", "service:stock"' in heard


def test_rows_say_where_it_is_and_that_it_is_attached(stacks: dict[str, Template]) -> None:
    """The version before reads name, rotation and interval of such a row."""
    identities = {each["Identity"]: each for each in _of(stacks["identities"], "Custom::MeshcertIdentity")}
    (use,) = identities["orders"]["Services"]

    assert (use["Place"], use["Attached"]) == ("own/orders", "true")
    assert set(identities["edge"]["Services"][0]) == {"Name", "Rotation", "PollIntervalS"}


def test_the_construct_and_the_command_give_the_same_containers(own: Template) -> None:
    """And a service of ours has them too: all are made of one source."""
    (task,) = _of(own, "AWS::ECS::TaskDefinition")
    made = {container["Name"]: container for container in task["ContainerDefinitions"]}
    document = sidecar_document(MESH, sidecar(MESH, "orders"), "IMAGE", "REGION")

    for told in document["containers"]:
        container = made[told["name"]]
        assert _comparable(container) == _comparable(told), told["name"]
    assert made["app"]["DependsOn"] == [{"ContainerName": "envoy", "Condition": "HEALTHY"}]
    assert list(made) == ["app", "envoy", "readiness"]


def test_a_job_gets_a_policy_and_its_settings_and_no_discovery(stacks: dict[str, Template]) -> None:
    """The lifecycle has no right on it, and its identity's row says that no service is waited for."""
    services = stacks["services"]

    assert "report" in {each["Service"] for each in _of(services, "Custom::MeshcertSettings")}
    policies = [json.dumps(each["ManagedPolicyName"]) for each in _of(services, "AWS::IAM::ManagedPolicy")]
    assert [name for name in policies if "report" in name] != []
    assert "report" not in {each["Name"] for each in _of(services, "AWS::ServiceDiscovery::Service")}
    assert "report" not in json.dumps(_of(services, "AWS::SSM::Parameter"))
    assert "report" not in json.dumps(stacks["renewal"])
    identities = {each["Identity"]: each for each in _of(stacks["identities"], "Custom::MeshcertIdentity")}
    assert (identities["report"]["Services"], identities["report"]["Jobs"]) == ([], ["report"])
    assert "Jobs" not in identities["stock"]


def test_the_construct_joins_a_job_that_ends_with_its_application(tmp_path: Path) -> None:
    """Envoy does not keep the task; a container that would is refused."""
    app = App(outdir=str(tmp_path / "out"))
    stack = Stack(app, "own")

    def job(family: str, *, essential: bool) -> None:
        task = ecs.FargateTaskDefinition(stack, family, family=family)
        application = task.add_container(
            "app", image=ecs.ContainerImage.from_registry("job"), essential=essential, memory_reservation_mib=1
        )
        EnvoySidecar(task, "Sidecar", task=task, mesh=str(FILE), service="report", application=application)

    job("nightly-report", essential=True)
    with pytest.raises(MeshInvalid, match="container app is not essential"):
        job("other", essential=False)
    made = app.synth().get_stack_by_name("own").template["Resources"]
    task = next(each for each in _of(made, "AWS::ECS::TaskDefinition") if each["Family"] == "nightly-report")
    containers = {each["Name"]: each for each in task["ContainerDefinitions"]}
    assert {name: each["Essential"] for name, each in containers.items()} == {"app": True, "envoy": False}
    assert containers["app"]["DependsOn"] == [{"ContainerName": "envoy", "Condition": "HEALTHY"}]
    assert containers["envoy"]["StartTimeout"] == 120
    assert {"Name": "MESHCERT_AWAITS_STOP", "Value": "true"} in containers["envoy"]["Environment"]


@pytest.mark.parametrize("mode", [ecs.NetworkMode.BRIDGE, ecs.NetworkMode.HOST])
def test_the_construct_refuses_tasks_that_share_an_address(mode: ecs.NetworkMode, tmp_path: Path) -> None:
    """Cloud Map could not tell them apart."""
    task = ecs.Ec2TaskDefinition(Stack(App(outdir=str(tmp_path)), "own"), "Task", network_mode=mode)
    image = ecs.ContainerImage.from_registry("orders")
    application = task.add_container("app", image=image, memory_reservation_mib=1)

    with pytest.raises(MeshInvalid, match="share an address"):
        EnvoySidecar(task, "Sidecar", task=task, mesh=str(FILE), service="orders", application=application)


@pytest.mark.parametrize("deployed_on", ["arm64", "x86_64"])
def test_its_envoy_is_built_for_the_processor_that_its_tasks_run_on(deployed_on: str, tmp_path: Path) -> None:
    """Beside that of the deploy, in a parameter of its own; who reads the deploy's finds it where it was."""
    found = assemble(tmp_path, mesh=str(FILE), architecture=deployed_on)
    template = next(each for each in found if each.stack_name == "shop-services").template["Resources"]

    named = {each["Name"]: json.dumps(each["Value"]) for each in _of(template, "AWS::SSM::Parameter")}
    images = {name.rpartition("image")[2]: value for name, value in named.items() if "/sidecar/image" in name}

    assert set(images) == {"", "/x86_64"}
    assert len(set(images.values())) == (1 if deployed_on == "x86_64" else 2)


def test_the_construct_refuses_tasks_of_another_processor(tmp_path: Path) -> None:
    """They could not start; Fargate takes x86-64 where nothing is said, as the app of the example does."""
    runs_on = ecs.RuntimePlatform(cpu_architecture=ecs.CpuArchitecture.ARM64)
    task = ecs.FargateTaskDefinition(Stack(App(outdir=str(tmp_path)), "own"), "Task", runtime_platform=runs_on)
    application = task.add_container("app", image=ecs.ContainerImage.from_registry("orders"))

    with pytest.raises(MeshInvalid, match="built for X86_64, and the task definition runs on ARM64"):
        EnvoySidecar(task, "Sidecar", task=task, mesh=str(FILE), service="orders", application=application)


def test_without_a_mesh_the_app_is_as_it_was(own: Template, tmp_path: Path) -> None:
    """The sidecar adds to roles, task definition and service, and replaces no resource."""
    before = _own(tmp_path, "")

    assert set(before) <= set(own)
    changed = {before[name]["Type"] for name in before if before[name] != own[name]}
    assert changed <= {"AWS::ECS::TaskDefinition", "AWS::ECS::Service", "AWS::IAM::Role", "AWS::IAM::Policy"}


def test_a_service_that_is_not_attached_is_told(tmp_path: Path) -> None:
    """With the place in the mesh file."""
    text = FILE.read_text().replace("container: app", "container: other")
    (tmp_path / "mesh.yaml").write_text(text)

    with pytest.raises(MeshInvalid, match=r"services\.orders\.attached\.container"):
        _own(tmp_path / "out", str(tmp_path / "mesh.yaml"))


def _comparable(container: Any) -> Any:
    """Keys in one spelling, without what only a deploy knows."""
    if isinstance(container, dict):
        kept = {key[0].lower() + key[1:]: value for key, value in container.items()}
        left_out = {"image", "awslogs-region", "protocol"}
        return {key: _comparable(value) for key, value in kept.items() if key not in left_out}
    if isinstance(container, list):
        return sorted((_comparable(each) for each in container), key=lambda each: json.dumps(each, sort_keys=True))
    return container
