"""
Dockerfiles, read as far as laying out an image without Docker needs them.

The library ``dockerfile-parse`` (2.0.1) was tried. It splits lines into instructions, which is a ninth of this file.
It knows neither flags (``COPY --from``, ``--mount``) nor stages by name nor ``${NAME:-default}``, takes the lines of a
here-document for instructions, and ends a continuation at a blank line.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\\(.)|\$\{(\w+)(?::([-+])([^}]*))?\}|\$(\w+)")
_FLAG = re.compile(r"--([a-z-]+)(?:=(.*))?$")


class DockerfileError(ValueError):
    """
    A Dockerfile cannot be understood, or refers to something that is not there.

    Args:
        line: Line number, from 1.
        problem: What is wrong.
    """

    def __init__(self, line: int, problem: str) -> None:
        self.line = line
        self.problem = problem
        super().__init__(f"Dockerfile:{line}: {problem}")


@dataclass(frozen=True)
class Instruction:
    """
    One instruction of a stage.

    Args:
        line: Line number of its beginning, from 1.
        keyword: In upper case.
        flags: Its ``--name=value`` options; without a value ``""``, a repeated one's values are joined by newlines.
        text: The rest as written, continuation lines joined.
    """

    line: int
    keyword: str
    flags: Mapping[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        """The rest as a list: JSON form, or words as the shell splits them."""
        return self.exec_form or _split(self)

    @property
    def exec_form(self) -> list[str] | None:
        """The rest if it is a JSON list of strings, else None."""
        try:
            value = json.loads(self.text)
        except ValueError:
            return None
        return [str(word) for word in value] if isinstance(value, list) else None


@dataclass
class Stage:
    """
    One FROM and what follows it.

    Args:
        name: Its name after AS, or its number.
        base: The image or stage it starts from.
        line: Line number of its FROM.
        instructions: In order.
    """

    name: str
    base: str
    line: int
    instructions: list[Instruction] = field(default_factory=list)


def parse(text: str, arguments: Mapping[str, str]) -> list[Stage]:
    """
    The stages of a Dockerfile, in order.

    Args:
        text: The Dockerfile.
        arguments: Values given with ``--build-arg``.

    Raises:
        DockerfileError: If there is no FROM, or an instruction stands before it.
    """
    stages: list[Stage] = []
    global_arguments: dict[str, str] = {}
    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            words = _split(instruction)
            base = expand(words[0], global_arguments)
            named = len(words) == 3 and words[1].upper() == "AS"  # noqa: PLR2004 - FROM image AS name
            stages.append(Stage(words[2].lower() if named else str(len(stages)), base, instruction.line))
        elif stages:
            stages[-1].instructions.append(instruction)
        elif instruction.keyword == "ARG":
            name, _, default = instruction.text.partition("=")
            global_arguments[name] = arguments.get(name, expand(default, global_arguments).strip("\"'"))
        else:
            raise DockerfileError(instruction.line, f"{instruction.keyword} before FROM")
    if not stages:
        raise DockerfileError(1, "no FROM: the file has no build stage")
    return stages


def expand(text: str, variables: Mapping[str, str]) -> str:
    """``text`` with ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:+other}`` replaced."""

    def value(match: re.Match[str]) -> str:
        escaped, name, operator, other, plain = match.groups()
        if escaped is not None:
            return str(escaped)
        found = variables.get(name or plain, "")
        if operator == "-":
            return found or other
        return (other if found else "") if operator == "+" else found

    return _VARIABLE.sub(value, text)


def _instructions(text: str) -> list[Instruction]:
    found: list[Instruction] = []
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#") or (not stripped and not pending):
            continue
        start = start if pending else number
        pending += stripped.removesuffix("\\").rstrip() + " "
        if not stripped.endswith("\\"):
            found.append(_instruction(start, pending.strip()))
            pending = ""
    if pending:
        found.append(_instruction(start, pending.strip()))
    return found


def _instruction(line: int, text: str) -> Instruction:
    keyword, _, rest = text.partition(" ")
    flags: dict[str, str] = {}
    rest = rest.strip()
    if rest.startswith("<<") or (keyword.upper() in ("COPY", "RUN") and "<<" in rest):
        raise DockerfileError(line, f"{keyword}: here-documents are not supported here")
    # HEALTHCHECK's and RUN's flags come first, like COPY's; later words that look like flags are arguments.
    while flag := _FLAG.match(rest.split(" ", 1)[0]):
        name, value = flag.group(1), flag.group(2) or ""
        flags[name] = f"{flags[name]}\n{value}" if name in flags else value
        rest = rest.partition(" ")[2].strip()
    return Instruction(line, keyword.upper(), flags, rest)


def _split(instruction: Instruction) -> list[str]:
    try:
        return shlex.split(instruction.text)
    except ValueError as error:
        raise DockerfileError(instruction.line, f"{instruction.keyword}: {error}") from error
