"""What holds for the tree as a whole."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("meshcert", "lambdas", "stacks", "envoy-image")
OTHERS = ("local", "evidence", "tools")
MOST_FILES = 15
"""In one folder of the product: more are a room that wants a wall."""
LONG = {
    "envoy-image/entrypoint/supervisor.py": "PID 1 from start to end: one class of short methods, one after the other",
    "envoy-image/entrypoint/watcher.py": "the wiring of a watcher's parts, one after the other, each in a few lines",
    "meshcert/publishing/preflight.py": "one check after the other, each short; together they are the pre-flight",
    "meshcert/errors.py": "the whole tree of errors in one place, as its own docstring draws it",
    "meshcert/mesh/checks/calls.py": "one rule after the other about who calls whom; each is short",
    "meshcert/mesh/edges/permission.py": "one question, whether A may call B: one answer after the other, each short",
    "meshcert/lifecycle/memory.py": "what is remembered of an identity: one small dataclass after the other",
    "meshcert/lifecycle/observation.py": "what a look finds: plain values, one small dataclass after the other",
    "stacks/constructs/rights.py": "one statement of a policy after the other, each a few lines",
    "local/running_mesh.py": "one class of short questions to a deployed mesh",
    "meshcert/mesh/mesh.py": "the mesh file's own class, and the facts that follow from it, each in a few lines",
    "envoy-image/entrypoint/settings.py": "the settings of one container: one check after the other, each short",
    "meshcert/proxy.py": "the settings of one proxy, which two programs share, in one place",
    "stacks/runbook.py": "a table: one alarm, one answer",
    "local/running_aws.py": "one class, which everybody else starts a local AWS with",
    "tools/aws_checks/rights.py": "a table of rights, role by role",
}
"""Files of more than 300 lines outside tests/, each with its reason."""


def _files(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def test_no_class_name_stands_twice() -> None:
    """Whoever reads a class name in the product knows which one is meant, without looking where it comes from."""
    places = defaultdict(list)
    for path in _files(*SHIPPED):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")

    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_folder_of_the_product_has_too_many_files() -> None:
    """A newcomer takes a folder in at a glance."""
    counted = Counter(path.parent.relative_to(ROOT).as_posix() for path in _files(*SHIPPED))

    assert {folder: count for folder, count in counted.items() if count > MOST_FILES} == {}


def test_every_long_file_has_its_reason() -> None:
    """The list is the list: a file that has become shorter leaves it."""
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in _files(*SHIPPED, *OTHERS)
    }

    assert {name for name, count in lines.items() if count > 300} == set(LONG)


def test_exceptions_from_the_lint_rules_are_few() -> None:
    """What a whole folder may do stands in its ruff.toml; a line of its own is an exception with a reason."""
    exceptions = sum(len(re.findall(r"# noqa: ", path.read_text())) for path in _files(*SHIPPED, *OTHERS))

    assert exceptions < 60


READ_UNBOUNDED = re.compile(
    r"json\.loads?\(|yaml\.(?:safe_)?load|JSONDecoder\(|SafeLoader|literal_eval\(|pickle\.loads?"
)
READERS = {"meshcert/appmesh/reading/texts.py", "meshcert/bounded_json.py", "meshcert/mesh/reading/source.py"}
"""They measure a text before they believe it."""


def test_the_product_reads_what_others_wrote_by_its_bounded_readers_alone() -> None:
    """Nesting, numbers and sizes are bounded there; a reader of a library's own is not."""
    unbounded = {
        path.relative_to(ROOT).as_posix() for path in _files(*SHIPPED) if READ_UNBOUNDED.search(path.read_text())
    }

    assert unbounded <= READERS
