"""The mesh file in App Mesh's own writing: camelCase, its nesting of names, its durations."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshcert.mesh import read_mesh
from tests.meshcert.mesh.routed_meshes import SERVICE, header, mesh_values, route

ROOT = Path(__file__).parents[3]
POLICY = {"max_retries": 2, "per_retry_timeout": 1.5, "http_retry_events": ["gateway-error"]}
VALUES = mesh_values(
    [
        route("blue", "blue", prefix="/", headers=[header("x_color", exact="blue")], retry_policy=POLICY),
        route("rest", {"green": 90, "red": 10}, prefix="/", timeout={"per_request": 2, "idle": 0}),
    ]
)
NAMES = {"virtual_gateways", "virtual_nodes", "virtual_routers", "virtual_services", "services", "hierarchies"}


def _camel_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {re.sub(r"_([a-z0-9])", lambda it: it[1].upper(), key): _camel_case(each) for key, each in value.items()}
    return [_camel_case(each) for each in value] if isinstance(value, list) else value


def _read(values: Any) -> Any:
    return read_mesh(yaml.safe_dump(values, sort_keys=False).encode())


@pytest.mark.parametrize("values", [VALUES, yaml.safe_load((ROOT / "mesh.yaml").read_text())], ids=["routes", "color"])
def test_a_file_in_camel_case_is_the_same_mesh(values: dict[str, Any]) -> None:
    """Every key, at every depth."""
    read = _read(_camel_case(values))

    assert read.faults == ()
    assert read.mesh == _read(values).mesh


def test_names_are_never_touched() -> None:
    """They are people's own: only keys of the model are read in two ways."""
    values = copy.deepcopy(VALUES)
    values["virtual_services"]["myService.mesh.local"] = {"provider": {"virtualNode": "blue"}}

    assert list(_read(values).mesh.virtual_services) == [SERVICE, "myService.mesh.local"]


def test_names_may_stand_one_level_down_as_app_mesh_has_them() -> None:
    """``virtualNode: {virtualNodeName: ...}``, and a backend's policy beside the name."""
    values = _camel_case(VALUES)
    values["virtualServices"][SERVICE] = {"provider": {"virtualRouter": {"virtualRouterName": "main"}}}
    action = values["virtualGateways"]["edge"]["gatewayRoutes"][0]["httpRoute"]["action"]
    action["target"] = {"virtualService": {"virtualServiceName": SERVICE}}
    backend = {"virtualServiceName": SERVICE, "clientPolicy": {}}
    values["virtualNodes"]["gray"]["backends"] = [{"virtualService": backend, "localPort": 15100}]
    plain = copy.deepcopy(VALUES)
    plain["virtual_nodes"]["gray"]["backends"] = [
        {"virtual_service": SERVICE, "client_policy": {}, "local_port": 15100}
    ]

    read = _read(values)

    assert read.faults == ()
    assert read.mesh == _read(plain).mesh


@pytest.mark.parametrize(
    ("said", "seconds"), [({"unit": "s", "value": 2}, 2.0), ({"unit": "ms", "value": 1500}, 1.5), (7, 7.0)]
)
def test_a_duration_may_be_app_meshs(said: Any, seconds: float) -> None:
    """A whole number of seconds or milliseconds."""
    values = copy.deepcopy(VALUES)
    values["virtual_routers"]["main"]["routes"][1]["http_route"]["timeout"] = {"perRequest": said}

    assert _read(values).mesh.virtual_routers["main"].routes[1].http_route.timeout.per_request == seconds


@pytest.mark.parametrize("said", [{"unit": "m", "value": 1}, {"unit": "s", "value": 1.5}, {"value": 1}, "15s"])
def test_what_is_no_duration_is_a_fault(said: Any) -> None:
    """With both forms as the remedy."""
    values = copy.deepcopy(VALUES)
    values["virtual_routers"]["main"]["routes"][1]["http_route"]["timeout"] = {"perRequest": said}

    (fault,) = _read(values).faults

    assert fault.place == "virtual_routers.main.routes[1].http_route.timeout.perRequest"
    assert "expected a number" in fault.problem


def test_a_fault_keeps_its_place_as_it_is_written() -> None:
    """Whoever searches the file for it finds it, with its line."""
    values = _camel_case(VALUES)
    routes = values["virtualRouters"]["main"]["routes"]
    routes[0]["httpRoute"]["match"]["headers"][0]["match"] = {"range": {"start": 5, "end": 5}}
    routes[1]["httpRoute"]["action"]["weightedTargets"][0]["weight"] = 101
    values["virtualServices"][SERVICE] = {"provider": {"virtualRouter": {"virtualRouterName": "mian"}}}

    read = _read(values)

    assert [fault.place for fault in read.faults] == [
        "virtualRouters.main.routes[0].httpRoute.match.headers[0].match.range",
        "virtualRouters.main.routes[1].httpRoute.action.weightedTargets[0].weight",
        f"virtualServices.{SERVICE}.provider.virtualRouter.virtualRouterName",
    ]
    lines = yaml.safe_dump(values, sort_keys=False).splitlines()
    assert ["weight: 101" in lines[read.source.line(fault.place) - 1] for fault in read.faults] == [False, True, False]


def test_a_key_in_both_writings_is_a_fault() -> None:
    """One of them would be lost."""
    values = copy.deepcopy(VALUES)
    values["virtual_nodes"]["blue"]["listeners"][0]["portMapping"] = {"port": 1, "protocol": "http"}

    (fault,) = _read(values).faults

    assert fault.place == "virtual_nodes.blue.listeners[0].portMapping"
    assert "written twice, as port_mapping too" in fault.problem
