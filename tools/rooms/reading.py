"""Reading which file imports which."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The folders that are read, and the name by which Python imports each: "envoy-image" cannot be imported.
SOURCES = {"meshcert": "meshcert", "lambdas": "lambdas", "stacks": "stacks", "envoy-image/entrypoint": "entrypoint"}


@dataclass(frozen=True)
class File:
    """
    One Python file.

    Args:
        path: Relative to the root of the repository.
        imports: Paths of the files it imports. An import inside a function, or for the type checker only, counts like
            any other.
    """

    path: str
    lines: int
    imports: frozenset[str]

    @property
    def folder(self) -> str:
        """The folder it lies in."""
        return self.path.rpartition("/")[0]

    @property
    def stem(self) -> str:
        """Its name without ``.py``."""
        return self.path.rpartition("/")[2].removesuffix(".py")


def read_files(root: Path) -> list[File]:
    """Every Python file of the product, ordered by path."""
    modules = {}
    for folder, package in SOURCES.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = (package, *path.relative_to(root / folder).with_suffix("").parts)
            modules[".".join(parts).removesuffix(".__init__")] = path
    paths = {module: path.relative_to(root).as_posix() for module, path in modules.items()}
    files = []
    for module, path in modules.items():
        text = path.read_text(encoding="utf-8")
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        imported = {paths[name] for name in _imported(ast.parse(text), package, set(paths))}
        files.append(File(paths[module], text.count("\n"), frozenset(imported - {paths[module]})))
    return sorted(files, key=lambda file: file.path)


def _imported(tree: ast.Module, package: str, modules: set[str]) -> set[str]:
    """Names of the modules that a module of this package imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names = (f"{source}.{alias.name}" for alias in node.names)
            found.update(name if name in modules else source for name in names)
    return found & modules
