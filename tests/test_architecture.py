"""What holds for the tree as a whole."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SHIPPED = ("meshcert", "lambdas", "stacks", "envoy-image")
STILL_TWICE = {"Answer", "Clock", "Connection", "Delivery", "Rotation", "SecretsManager", "Verdict"}
"""In rooms that are being rebuilt; none may be added."""


def test_no_class_name_stands_twice() -> None:
    """Whoever reads a class name in the product knows which one is meant, without looking where it comes from."""
    places = defaultdict(list)
    for room in SHIPPED:
        for path in sorted((REPOSITORY / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(f"{path.relative_to(REPOSITORY)}:{node.lineno}")

    twice = {name: found for name, found in places.items() if len(found) > 1}

    assert {name: found for name, found in twice.items() if name not in STILL_TWICE} == {}
