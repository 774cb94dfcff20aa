"""Keys of App Mesh and Amazon ECS that people try: not supported, and what to do instead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

import botocore.session
import pytest
import yaml

from meshcert.mesh import Mesh, read_mesh
from meshcert.mesh.reading.translation import as_part, below, fields
from meshcert.mesh.reading.unsupported import UNSUPPORTED, instead
from tests.meshcert.mesh.mesh_slips import GATEWAY, NODE_TLS, changed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

ROOT = Path(__file__).parents[3]

TRIED = [
    ("meshName", "mesh.name"),
    ("spec", "without spec"),
    ("virtualRouter", "virtual_routers"),
    ("virtualServiceName", "virtual_services"),
    ("tags", "services.NAME.tags"),
    ("mesh.region", "AWS_REGION"),
    ("network.vpc_id", "names a VPC of yours"),
    ("network.subnets", "`network.existing`"),
    ("hierarchies.colorteller.certificate_authority_arn", "hierarchies.NAME.existing"),
    ("hierarchies.colorteller.usageMode", "hierarchies.NAME.usage"),
    ("identities.colorteller.uris", "identities.NAME.spiffe_id"),
    ("identities.colorteller.validity_days", "identities.NAME.validity"),
    (f"{GATEWAY}.serviceDiscovery", "load balancer"),
    ("virtual_nodes.colorteller.healthCheck", "health_check"),
    (f"{GATEWAY}.listeners[0].outlierDetection", "virtual_nodes.NAME.listeners.outlier_detection"),
    (f"{NODE_TLS}.certificate.acm", "certificate: {identity: NAME}"),
    (f"{GATEWAY}.backends[0].virtualServiceName", "virtual_gateways.NAME.backends.virtual_service"),
    (f"{GATEWAY}.backends[0].client_policy.tls.mode", "insists on TLS"),
    (f"{GATEWAY}.routes[0].weight", "path prefix"),
    (f"{GATEWAY}.routes[0].match.headers", "virtual_gateways.NAME.gateway_routes"),
    (f"{GATEWAY}.routes[0].retryPolicy", "virtual_routers.NAME.routes"),
    ("services.colorteller.environment", "services.NAME.application.environment"),
    ("services.colorteller.application.env", "services.NAME.application.environment"),
    ("services.colorteller.secrets", "services.NAME.application.secrets"),
    ("services.colorteller.application.args", "services.NAME.application.command"),
    ("services.colorteller.application.memory", "services.NAME.application.memory_mib"),
    ("services.colorteller.application.mountPoints", "read-only"),
    ("services.colorteller.user", "services.NAME.application.user"),
    ("services.colorteller.deploymentConfiguration", "services.NAME.maximum_percent"),
    ("services.colorteller.application.taskRoleArn", "services.NAME.application.task_policies"),
    ("services.colorteller.application.sidecars", "services of their own"),
    ("services.colorteller.task_role_arn", "services.NAME.application.task_policies"),
    ("services.colorteller.TaskDefinition", "writes the task definition"),
    ("services.colorteller.healthCheck", "services.NAME.application.health_check"),
    ("services.colorteller.timeout", "virtual_gateways.NAME.routes.timeout"),
    ("services.colorteller.replicas", "services.NAME.desired_count"),
    ("services.colorteller.auto_scaling", "services.NAME.scaler"),
    ("services.colorteller.launchType", "Fargate"),
    ("services.colorteller.launchType", "services.NAME.attached"),
    ("services.colorteller.capacityProviderStrategy", "services.NAME.attached"),
    ("services.colorteller.application.sidecars", "services.NAME.attached"),
    ("services.colorteller.application.ulimits", "services.NAME.attached"),
    ("services.colorteller.taskDefinition", "services.NAME.attached"),
    ("services.colorteller.security-groups", "security groups of their own"),
    ("services.colorteller.ephemeralStorage", "services.NAME.attached"),
    ("services.colorteller.application.dockerLabels", "services.NAME.attached"),
    ("services.colorteller.healthCheckGracePeriodSeconds", "services.NAME.application.health_check.grace_period_s"),
    ("services.colorteller.enableExecuteCommand", "ECS Exec"),
    ("services.colorteller.job", "services.NAME.attached.job"),
    ("services.colorteller.enableExecuteCommand", "services.NAME.attached"),
]
"""A key in a place, and part of what is said about it."""


@pytest.mark.parametrize(("place", "said"), TRIED)
def test_what_people_try_is_called_unsupported_with_what_to_do_instead(place: str, said: str) -> None:
    """Never "unknown key. Remove it": whoever writes it wants something."""
    (fault,) = read_mesh(changed((place, {}))).faults

    assert (fault.place, fault.problem) == (place, "not supported")
    assert said in fault.remedy


@pytest.mark.parametrize("key", ["network_mode", "deploymentController", "TaskRoleArn"])
def test_what_a_service_of_yours_says_itself_is_told_where_it_stands(key: str) -> None:
    """An attached service keeps its task definition."""
    faults = {it.place: it for it in read_mesh(changed(("services.colorteller.attached", {key: "x"}))).faults}
    fault = faults[f"services.colorteller.attached.{key}"]

    assert fault.problem == "not supported"
    assert "stands in your task definition or your service" in fault.remedy


@pytest.mark.parametrize(
    ("part", "key"), [(part, key) for part, keys in UNSUPPORTED.items() for key in keys], ids=lambda it: it
)
def test_every_remedy_names_keys_that_there_are_and_no_key_of_the_table_is_one(part: str, key: str) -> None:
    """A key that becomes a field leaves the table, and a field that goes leaves the remedies."""
    model = _parts()[part]
    remedy = instead(part, key)

    assert key not in {name.replace("_", "") for name in fields(model)}
    assert not remedy.endswith(".")
    for path in re.findall(r"`([a-z_.A-Z]+)`", remedy):
        assert _is_in_the_file(path), path


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        ("Application", "ContainerDefinition"),
        ("DeclaredService", "RegisterTaskDefinitionRequest"),
        ("DeclaredService", "CreateServiceRequest"),
        ("Attachment", "ContainerDefinition"),
        ("Attachment", "RegisterTaskDefinitionRequest"),
        ("Attachment", "CreateServiceRequest"),
    ],
)
def test_each_field_that_ecs_has_is_one_here_or_told_where_it_is_to_be_had(part: str, shape: str) -> None:
    """A field that comes to ECS turns this red when botocore knows it."""
    ecs = botocore.session.get_session().get_service_model("ecs")
    here = {name.replace("_", "") for name in fields(_parts()[part])}

    members = set(ecs.shape_for(shape).members) - {"clientToken"}  # belongs to the call, not to what it makes
    unanswered = {key for key in members if key.lower() not in here and not instead(part, key)}

    assert unanswered == set()


def test_a_pasted_app_mesh_definition_is_answered_in_this_files_words() -> None:
    """No fault calls its parts unknown, or guesses."""
    pasted = {"meshName": "apps", "virtualNodeName": "orders", "spec": {"listeners": [], "backends": []}}

    faults = {fault.place: fault for fault in read_mesh(yaml.safe_dump(pasted).encode()).faults}

    for key in pasted:
        assert faults[key].problem == "not supported"
        assert "App Mesh's resources are one file here" in faults[key].remedy
    assert faults["mesh"].problem == "it is missing"


def _parts() -> dict[str, type[BaseModel]]:
    return {part.__name__: part for part in _below(Mesh)}


def _below(part: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield part
    for field in fields(part).values():
        for annotation in (field.annotation, below(field.annotation, 0), below(field.annotation, "NAME")):
            if kind := as_part(annotation):
                yield from _below(kind)


def _is_in_the_file(path: str) -> bool:
    annotation: Any = Mesh
    for step in path.split("."):
        annotation = below(annotation, step)
        # A list's items are written without their number.
        annotation = below(annotation, 0) if get_origin(annotation) is tuple else annotation
        if annotation is None:
            return False
    return True
