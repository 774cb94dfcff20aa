"""Refused peers are counted by cause: what CloudWatch is told to look for is what Envoy writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from evidence.fixtures.proxies import gateway, teller
from local.aws.log_patterns import compile_pattern
from meshcert.envoy.access_log import refused_backends, refused_clients, refused_requests
from tests.stacks.synthesis import ROOT, synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stacks.synthesis import Templates

LINES: dict[str, dict[str, Any]] = {
    "client": refused_clients("ingress_9080", teller())["typed_config"]["log_format"]["json_format"],
    "backend": refused_backends(gateway())["typed_config"]["log_format"]["json_format"],
}


def _filters(templates: Templates) -> list[dict[str, Any]]:
    return [found.properties for found in templates.resources("AWS::Logs::MetricFilter")]


def test_one_filter_counts_what_all_services_log(templates: Templates) -> None:
    """In the group that every container writes to, each service with streams of its own."""
    groups = {found.logical_id: found.properties for found in templates.resources("AWS::Logs::LogGroup")}
    options = [
        (container["LogConfiguration"]["Options"], task.properties["Family"])
        for task in templates.resources("AWS::ECS::TaskDefinition")
        for container in task.properties["ContainerDefinitions"]
    ]

    (counted,) = _filters(templates)

    assert groups[counted["LogGroupName"]["Ref"]]["LogGroupName"] == "/meshcert/color"
    assert {option["awslogs-group"]["Ref"] for option, _ in options} == {counted["LogGroupName"]["Ref"]}
    assert {f"meshcert-color-{option['awslogs-stream-prefix']}" for option, _ in options} == {
        family for _, family in options
    }


def test_a_group_for_each_service_is_as_before_and_stays_when_the_mesh_goes_over_to_one(tmp_path: Path) -> None:
    """It holds a month of lines. CloudFormation goes by what the deploy before has said of a resource that leaves."""
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    mesh["logs"] = {"group_per_service": True}
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump(mesh))

    found = synthesise(tmp_path / "out", mesh=str(tmp_path / "mesh.yaml"))
    groups = {each.logical_id: each for each in found.resources("AWS::Logs::LogGroup") if each.stack == "services"}

    assert {properties["LogGroupName"]["Ref"] for properties in _filters(found)} == groups.keys()
    assert {group.properties["LogGroupName"] for group in groups.values()} == {
        "/meshcert/color/colorgateway",
        "/meshcert/color/colorteller",
    }
    # The logical ids of the version before: CloudFormation would else make a second group of the same name.
    assert groups.keys() == {"colorgatewayLogs1A5F1681", "colortellerLogsFDF9F92A"}
    for group in groups.values():
        assert group.definition["DeletionPolicy"] == "RetainExceptOnCreate"


@pytest.mark.parametrize("peer", LINES)
def test_the_filter_finds_envoys_line_and_its_dimensions(templates: Templates, peer: str) -> None:
    """A misspelt event or field would count nothing, silently."""
    for properties in _filters(templates):
        (metric,) = properties["MetricTransformations"]

        assert compile_pattern(properties["FilterPattern"])(json.dumps(LINES[peer]))
        assert {item["Value"] for item in metric["Dimensions"]} == {"$.mesh", "$.service", "$.cause"}
        assert {item["Key"] for item in metric["Dimensions"]} <= LINES[peer].keys()
        assert (metric["MetricNamespace"], metric["MetricName"], metric["MetricValue"]) == (
            "meshcert",
            "PeersRefused",
            "1",
        )


def test_the_filter_finds_no_other_line(templates: Templates) -> None:
    """Neither the entrypoint's events nor what an application prints."""
    for properties in _filters(templates):
        matches = compile_pattern(properties["FilterPattern"])

        assert not matches('{"event": "secret-installed", "cause": "expired"}')
        assert not matches("connection-refused")


def test_refused_requests_are_counted_where_there_are_allow_rules(tmp_path: Path) -> None:
    """By the same filter."""
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    mesh["virtual_nodes"]["colorteller"]["listeners"][0]["allow"] = [{"match": {"prefix": "/"}}]
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump(mesh))
    line = refused_requests("ingress_9080", teller())["typed_config"]["log_format"]["json_format"]

    counts = [
        compile_pattern(properties["FilterPattern"])(json.dumps(line))
        for properties in _filters(synthesise(tmp_path / "out", mesh=str(tmp_path / "mesh.yaml")))
    ]

    assert counts == [True]
    assert {"mesh", "service", "cause"} <= line.keys()
    assert "%" not in line["cause"]


def test_no_dimension_holds_what_a_peer_has_chosen() -> None:
    """Every value of a dimension is a metric with its price: mesh and service are ours, the cause is one of a few."""
    for line in LINES.values():
        assert "%" not in line["mesh"] + line["service"]
        assert line["cause"].startswith("%CEL(")


def test_the_dashboard_draws_whatever_cause_occurs(templates: Templates) -> None:
    """By search: no list of services or causes has to be kept there."""
    (dashboard,) = templates.resources("AWS::CloudWatch::Dashboard")
    body = "".join(part for part in dashboard.properties["DashboardBody"]["Fn::Join"][1] if isinstance(part, str))

    assert r"SEARCH('{meshcert,mesh,service,cause} MetricName=\"PeersRefused\" mesh=\"color\"', 'Sum', 300)" in body
