"""``meshcert sidecar``: what a service of the user's gets, so that it joins the mesh."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from meshcert import naming
from meshcert.cli.options import ChosenMesh, mesh_option, name_argument
from meshcert.cli.terminal import tell_json, tell_lines
from meshcert.mesh import load_mesh
from meshcert.mesh import sidecar as sidecar_of
from meshcert.mesh.naming import suggestion
from meshcert.mesh.rendering.sidecar import container_definition, dependencies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh import Mesh
    from meshcert.mesh.rendering.sidecar import Sidecar

LONGEST_LINE = 104
"""Of what is printed for a template: it is moved to the right there."""

_EXAMPLES = """\b
  meshcert sidecar orders --mesh mesh.yaml                   what to add, step by step
  meshcert sidecar orders --cloudformation                   the same as lines of a template
  meshcert sidecar orders --json --image "$(aws ssm get-parameter \\
      --name /meshcert/shop/sidecar/image --query Parameter.Value --output text)"

The mesh is deployed first: it makes the policy, the log group, the Cloud Map service and the two parameters.
Another image is another deployment of yours; other settings need none: the lifecycle brings them.
"""


@click.command(short_help="What to add to a task definition of yours.", epilog=_EXAMPLES)
@name_argument
@click.option("--json", "as_document", is_flag=True, help="As JSON: container definitions of Amazon ECS's API.")
@click.option("--cloudformation", is_flag=True, help="As YAML lines for a CloudFormation template.")
@click.option("--image", default="", help="The image of Envoy; left out: a reference to the parameter that has it.")
@click.option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], default="", help="Of the log group, for --json.")
@mesh_option
@click.pass_obj
def sidecar(chosen: ChosenMesh, name: str, *, as_document: bool, cloudformation: bool, image: str, region: str) -> None:
    """
    Print what an attached service or job NAME of the mesh file gets, so that it joins the mesh.

    Its task definition gets the containers, and its application starts when Envoy is healthy; its task role gets the
    policy, and a service its registration and its tags. AWS is not asked.
    """
    mesh = load_mesh(chosen.file())
    try:
        found = sidecar_of(mesh, name)
    except LookupError:
        attached = [each for each, service in mesh.services.items() if service.attached]
        known = f"Attached are: {', '.join(attached)}" if attached else "Attach one by services.NAME.attached"
        remedy = suggestion(name, attached, known)
        if name in mesh.services:
            remedy = f"meshcert makes it; for a service of yours, write services.{name}.attached"
        raise click.UsageError(f"mesh {mesh.name} attaches no service {name}. {remedy}") from None
    if cloudformation:
        tell_lines(template_lines(mesh, found))
    elif as_document:
        if not region:
            raise click.UsageError("--json names the log group's region: set AWS_REGION, or give --region")
        reference = f"{{{{resolve:ssm:{found.image_parameter}}}}}"
        tell_json(sidecar_document(mesh, found, image or reference, region))
    else:
        tell_lines(_steps(mesh, found))


def sidecar_document(mesh: Mesh, found: Sidecar, image: str, region: str) -> dict[str, Any]:
    """Everything for scripts; names are those that the mesh's deploy gives."""
    return {
        "containers": [container_definition(found, each, image, region) for each in found.containers],
        "application": {
            "name": found.attached.container,
            "dependsOn": dependencies(found.application_after),
            **({"essential": True} if found.attached.job else {}),
        },
        "task_role_policy": naming.role(mesh.name, region, found.service),
        "security_group": found.attached.security_group,
        "registry_parameter": naming.sidecar_registry(mesh.name, found.service) if found.is_registered else None,
        "tags": [{"key": key, "value": value} for key, value in found.tags.items()],
    }


def template_lines(mesh: Mesh, found: Sidecar) -> Iterator[str]:
    """Lines of a CloudFormation template, by where they go."""
    yield "# Parameters"
    yield from _parameter("SidecarImage", found.image_parameter)
    if found.is_registered:
        yield from _parameter("SidecarRegistry", naming.sidecar_registry(mesh.name, found.service))
    yield "# Properties of the task role"
    policy = naming.role(mesh.name, "${AWS::Region}", found.service)
    yield "ManagedPolicyArns:"
    yield f'- !Sub "arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:policy/{policy}"'
    yield "# ContainerDefinitions of the task definition"
    for container in found.containers:
        definition = container_definition(found, container, "SidecarImage", "AWS::Region")
        for number, line in enumerate(_block(_pascal(definition))):
            yield ("  " if number else "- ") + line
    if found.application_after:
        yield f"# Container {found.attached.container}"
        essential = {"Essential": True} if found.attached.job else {}
        yield from _block({**essential, "DependsOn": _pascal(dependencies(found.application_after))})
    if found.attached.job:
        return
    yield "# Properties of the service"
    if found.is_registered:
        yield "ServiceRegistries: [{RegistryArn: !Ref SidecarRegistry}]"
    tags = [{"Key": key, "Value": value} for key, value in found.tags.items()]
    yield from _block({"Tags": tags} if tags else {})


def _parameter(name: str, parameter: str) -> Iterator[str]:
    yield f'{name}: {{Type: "AWS::SSM::Parameter::Value<String>", Default: {parameter}}}'


_TOGETHER = "\N{NO-BREAK SPACE}"
_OPTIONS = "options"
"""Keys of this map of the API's are the log driver's own, which a template spells as they are."""


def _pascal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: each if key == _OPTIONS else _pascal(each) for key, each in value.items()}
    return [_pascal(each) for each in value] if isinstance(value, list) else value


def _block(value: dict[str, Any]) -> Iterator[str]:
    """A mapping of YAML, each value in flow style: that may go on in further lines (YAML 1.2, 7.4)."""
    for key, each in value.items():
        # A key and its value stay together, and so do a tag and its own.
        text = f"{key}: {_flow(each)}".replace(": ", f":{_TOGETHER}").replace("!Ref ", f"!Ref{_TOGETHER}")
        lines = wrap(text, LONGEST_LINE, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
        yield from (line.replace(_TOGETHER, " ") for line in lines)


_REFERENCES = {"SidecarImage": "!Ref SidecarImage", "AWS::Region": "!Ref AWS::Region"}


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool | int):
        return json.dumps(value)
    is_plain = value.replace("-", "").isalpha() and value.lower() not in _WORDS
    return _REFERENCES.get(value) or (value if is_plain else json.dumps(value))


_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
"""Words that YAML 1.1 takes for something else than text."""


def _steps(mesh: Mesh, found: Sidecar) -> Iterator[str]:
    attached, region = found.attached, "REGION"
    names = " and ".join(container.name for container in found.containers)
    joins = f"job {attached.task_definition}" if attached.job else f"{attached.cluster_name}/{attached.service}"
    yield f"{joins} joins mesh {mesh.name} as {found.service}:"
    yield ""
    yield f"1  deploy the mesh; it makes what is named here, and adds rules to {attached.security_group}"
    yield f"2  task role: attach the policy {naming.role(mesh.name, region, found.service)}"
    yield f"3  task definition: add the containers {names} (--json, --cloudformation); network mode awsvpc;"
    runs_on = attached.architecture.of_ecs if attached.architecture else "that of the mesh's deploy"
    yield f"   CPU architecture {runs_on}, for which its Envoy is built (ECS takes X86_64 where it is left out)"
    if found.application_after:
        yield f"4  container {attached.container}: it depends on {naming.ENVOY_CONTAINER}, condition HEALTHY"
    else:
        yield "4  nothing else starts after them: a virtual gateway has no application"
    if attached.job:
        yield f"5  container {attached.container}: essential; the task ends with it, and its exit code is the task's"
        yield f"6  RunTask, your schedule or state machine: security group {attached.security_group}"
    elif attached.cloud_map_service:
        yield f"5  service: registered in your Cloud Map service {attached.cloud_map_service}"
    else:
        yield f"5  service: register it; {naming.sidecar_registry(mesh.name, found.service)} has the registry's ARN"
    if not attached.job:
        yield f"6  service: the tags {', '.join(found.tags) or '(none)'}"
    yield f"7  execution role: pull the image that {found.image_parameter} names, and write to log group"
    yield f"   {found.log_group}"
    yield ""
    yield "To leave the mesh, take the same out in one deployment of yours, and then the service out of the mesh file."
