"""A fact that several programs share stands in ``meshcert/contract`` and nowhere else in the product."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshcert.contract import (
    aws_errors,
    container,
    environment,
    exit_codes,
    key_encryption,
    lifetimes,
    staging_labels,
)
from stacks.bundling import NOT_IN_FUNCTIONS
from stacks.constructs.images import ENVOY_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
CONTRACT = ROOT / "meshcert/contract"
PRODUCT = ("meshcert", "lambdas", "stacks", "envoy-image")

MOST_IN_ONE_PLACE = 3
"""A module may ask for a code that means something to it; a longer list is a second table."""


def constants(module: ModuleType) -> set[object]:
    """The values of a module's public names."""
    return {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str | int)}


TEXTS = {
    *constants(staging_labels),
    *constants(key_encryption),
    *key_encryption.NAMES,
    *key_encryption.OPENED_BY_ENVOY,
    container.MATERIAL_DIR,
    container.LOOPBACK,
}
NUMBERS = {container.ADMIN_PORT, container.USER_ID, lifetimes.CERTIFICATE_DAYS}
EXIT_CODES = set(exit_codes.EXIT_CODES)
VARIABLE = re.compile(rf"{environment.PREFIX}[A-Z_]*")
EXCEPTIONS = {"meshcert/cli/exit_codes.py"}
"""The command line's own exit codes are of the same family (sysexits.h), and another fact."""


def repetitions(source: str) -> Iterator[str]:
    """
    Facts of the contract that a module states itself; comments and docstrings may name them.

    Args:
        source: The module.
    """
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings and _is_repeated(node.value):
            yield f"line {node.lineno}: {node.value!r}"
        if isinstance(node, ast.Set | ast.Tuple | ast.List):
            values = {each.value for each in node.elts if isinstance(each, ast.Constant)}
            if len(values & EXIT_CODES) > MOST_IN_ONE_PLACE and values <= EXIT_CODES | set(range(128, 256)):
                yield f"line {node.lineno}: exit codes"
            if len(values & aws_errors.TRANSIENT) > MOST_IN_ONE_PLACE:
                yield f"line {node.lineno}: AWS's errors"


def _is_repeated(value: object) -> bool:
    if isinstance(value, str):
        return value in TEXTS or VARIABLE.fullmatch(value) is not None
    return type(value) is int and value in NUMBERS


def modules() -> list[Path]:
    """The product's, without the contract itself."""
    found = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if CONTRACT not in path.parents]


@pytest.mark.parametrize("folder", PRODUCT)
def test_no_fact_of_the_contract_is_stated_twice(folder: str) -> None:
    """Whoever needs one imports it."""
    told = {
        str(path.relative_to(ROOT)): found
        for path in modules()
        if path.is_relative_to(ROOT / folder) and (found := list(repetitions(path.read_text())))
    }

    assert {name: found for name, found in told.items() if name not in EXCEPTIONS} == {}


@pytest.mark.parametrize(
    "source",
    [
        'CURRENT = "AWSCURRENT"',
        'labels = ["LASTGOOD"]',
        'QUARANTINED = "QUARANTINED"',
        "ADMIN_PORT = 9901",
        'MATERIAL_DIR = "/run/meshcert"',
        'loopback: str = "127.0.0.1"',
        'environment = {"MESHCERT_PROXY": proxy}',
        'variable = f"MESHCERT_POLICY_{name}"',
        "LEAF_LIFETIME_DAYS = 395",
        "ACM_RENEWS_AT = 335 / 395",
        "EXCUSED = frozenset({0, 64, 66, 69, 77, 137, 143})",
        'CODES = frozenset({"Throttling", "ThrottlingException", "ServiceUnavailable", "InternalFailure"})',
        '_PBES2 = "1.2.840.113549.1.5.13"',
        '_OPENS = {"PBES2 with AES-256-CBC and PBKDF2 HMAC-SHA1"}',
        "ENVOY_UID = 1337",
    ],
)
def test_what_used_to_stand_twice_is_noticed(source: str) -> None:
    """Each of these lines stood in the product beside its twin."""
    assert len(list(repetitions(source))) == 1


def test_the_contract_imports_nothing() -> None:
    """The container loads it at every start, and no room is below it."""
    imports = {
        f"{path.name}: {ast.unparse(node)}"
        for path in CONTRACT.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }

    assert {line for line in imports if not line.endswith("from __future__ import annotations")} == set()


def test_the_contract_is_in_the_functions_and_in_the_image() -> None:
    """The bundle leaves some folders of the shared package out, the image none."""
    assert not NOT_IN_FUNCTIONS(str(ROOT / "meshcert"), ["contract"])
    assert not NOT_IN_FUNCTIONS(str(CONTRACT), [path.name for path in CONTRACT.glob("*.py")])
    assert not any("contract" in pattern for pattern in ENVOY_CONTEXT)
    assert "COPY meshcert /opt/meshcert/app/meshcert\n" in (ROOT / "envoy-image/Dockerfile").read_text()


def test_the_image_runs_as_the_user_that_owns_the_material() -> None:
    """A Dockerfile can import nothing, so it says the number again."""
    assert f"\nUSER {container.USER_ID}\n" in (ROOT / "envoy-image/Dockerfile").read_text()
