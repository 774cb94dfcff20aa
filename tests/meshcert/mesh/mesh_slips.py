"""The Color app's mesh file with something done wrong in it."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from meshcert.mesh import read_mesh

if TYPE_CHECKING:
    from meshcert.errors import Fault

ROOT = Path(__file__).parents[3]
COLOR = yaml.safe_load((ROOT / "mesh.yaml").read_text())
REMOVED = object()

GATEWAY = "virtual_gateways.colorgateway"
BACKEND = f"{GATEWAY}.backends[0]"
CLIENT = f"{BACKEND}.client_policy.tls"
NODE = "virtual_nodes.colorteller"
NODE_TLS = f"{NODE}.listeners[0].tls"
TELLER_NAME = "colorteller.mtls.svc.cluster.local"
GATEWAY_NAME = "colorgateway.mtls.svc.cluster.local"


@dataclass(frozen=True)
class Slip:
    """
    One thing done wrong in a good file, and what must be said about it.

    Args:
        at: The place that is changed.
        value: What is written there; REMOVED takes the key out.
        problem: Part of the fault's problem.
        remedy: Part of the fault's remedy.
        place: Where the fault is, if it is not where the change was made.
    """

    at: str
    value: object
    problem: str
    remedy: str
    place: str = ""


def steps(place: str) -> list[str | int]:
    """A place as the keys and indexes that lead there."""
    return [int(index) if index else key for key, index in re.findall(r"([^.\[\]]+(?![^\[]*\]))|\[(\d+)\]", place)]


def changed(*changes: tuple[str, object]) -> bytes:
    """The Color app's mesh file with values replaced or removed."""
    values = copy.deepcopy(COLOR)
    for place, value in changes:
        *way, last = steps(place)
        part = values
        for step in way:
            part = part[step]
        if value is REMOVED:
            del part[last]
        else:
            part[last] = value
    return yaml.safe_dump(values, sort_keys=False).encode()


def faults_of(text: bytes) -> tuple[Fault, ...]:
    """What is wrong with a mesh file."""
    return read_mesh(text).faults


def identity(hierarchy: str, *names: str, key_algorithm: str = "EC_prime256v1") -> dict[str, Any]:
    """An identity as the file declares it."""
    return {"hierarchy": hierarchy, "dns_names": list(names), "key_algorithm": key_algorithm}


def assert_found_alone(slip: Slip) -> None:
    """The slip gives exactly one fault: at its place, with its problem and its remedy."""
    faults = faults_of(changed((slip.at, slip.value)))

    assert [fault.place for fault in faults] == [slip.place or slip.at]
    assert slip.problem in faults[0].problem
    assert slip.remedy in faults[0].remedy
