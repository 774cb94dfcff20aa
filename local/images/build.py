"""
Images laid out from a Dockerfile without Docker.

Nothing runs inside the image: COPY lines are carried out, base images contribute what this machine has in their place
(its Python, Envoy from PyPI), and of the RUN lines only those that make a Python environment, install requirements into
it, or compile Python are followed. The result is a folder with ``rootfs/`` and ``image.json``.
"""

from __future__ import annotations

import compileall
import itertools
import json
import py_compile
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from local.images.context import FileTree, copy_file, ignore_patterns
from local.images.dockerfile import DockerfileError, Instruction, Stage, expand, parse
from local.images.environment import python_of, requirements_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Change nothing that a process on this machine would notice.
_WITHOUT_EFFECT = frozenset({"EXPOSE", "LABEL", "MAINTAINER", "STOPSIGNAL", "SHELL", "ONBUILD"})


@dataclass(frozen=True)
class BuildRequest:
    """
    What ``docker build`` was asked for.

    Args:
        dockerfile: The Dockerfile.
        arguments: Values of ``--build-arg``.
        target: Name of the stage to stop at, or None for the last.
        envoy: Envoy's binary on this machine, or None if there is none.
        venvs: Folder in which Python environments are kept between builds.
        architecture: What the image says that it is for, as OCI's image configuration has it; empty where nobody asked.
            It holds this machine's programs all the same.
    """

    context: Path
    dockerfile: Path
    arguments: Mapping[str, str]
    target: str | None
    envoy: Path | None
    venvs: Path
    architecture: str


def build(request: BuildRequest, output: Path, say: Callable[[str], None]) -> None:
    """
    Lay out the image in ``output``.

    Args:
        output: An empty folder.
        say: Gets one line per step.

    Raises:
        DockerfileError: If the Dockerfile cannot be followed; its message names the line.
    """
    stages = parse(request.dockerfile.read_text(), request.arguments)
    names = [stage.name for stage in stages]
    if request.target is not None and request.target.lower() not in names:
        raise DockerfileError(1, f"target stage {request.target!r} could not be found; there are {names}")
    last = names.index(request.target.lower()) if request.target else len(stages) - 1
    built: dict[str, _StageBuild] = {}
    for number, stage in enumerate(stages[: last + 1]):
        current = _StageBuild(request, stage, output.with_name(f"{output.name}.{number}"), built, say)
        built[stage.name] = built[str(number)] = current
        current.run()
    final = built[stages[last].name]
    final.rootfs.rename(output / "rootfs")
    description = {**final.description, "Architecture": request.architecture}
    (output / "image.json").write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
    for stage_build in {id(item): item for item in built.values()}.values():
        shutil.rmtree(stage_build.rootfs, ignore_errors=True)


@dataclass
class _StageBuild:
    request: BuildRequest
    stage: Stage
    rootfs: Path
    built: Mapping[str, _StageBuild]
    say: Callable[[str], None]
    arguments: dict[str, str] = field(default_factory=dict)
    description: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        base = self.built.get(self.stage.base.lower())
        if base is not None:
            shutil.copytree(base.rootfs, self.rootfs, symlinks=True)
            self.description = json.loads(json.dumps(base.description))
        else:
            self.rootfs.mkdir(parents=True)
            _lay_out_base(self.stage.base, self.rootfs, self.request.envoy)
            empty = {"Env": {"PATH": _DEFAULT_PATH}, "Entrypoint": None, "Cmd": None, "User": "", "WorkingDir": "/"}
            self.description = {**empty, "Healthcheck": None}
        steps: dict[str, Callable[[Instruction], None]] = {
            "ARG": self._arg, "ENV": self._env, "COPY": self._copy, "ADD": self._copy, "WORKDIR": self._workdir,
            "USER": self._user, "RUN": self._run, "ENTRYPOINT": self._program, "CMD": self._program,
            "HEALTHCHECK": self._healthcheck, "VOLUME": self._volume,
        }  # fmt: skip
        for instruction in self.stage.instructions:
            if instruction.keyword in _WITHOUT_EFFECT:
                continue
            if instruction.keyword not in steps:
                raise DockerfileError(instruction.line, f"unknown instruction: {instruction.keyword}")
            self.say(f"[{self.stage.name}] {instruction.keyword} {instruction.text}")
            steps[instruction.keyword](instruction)

    @property
    def _variables(self) -> dict[str, str]:
        return {**self.arguments, **self.description["Env"]}

    def _words(self, instruction: Instruction) -> list[str]:
        return [expand(word, self._variables) for word in instruction.words]

    def _arg(self, instruction: Instruction) -> None:
        for word in self._words(instruction):
            name, _, default = word.partition("=")
            self.arguments[name] = self.request.arguments.get(name, default)

    def _env(self, instruction: Instruction) -> None:
        words = self._words(instruction)
        if "=" not in words[0]:
            words = [f"{words[0]}={' '.join(words[1:])}"]
        self.description["Env"].update(word.split("=", 1) for word in words)

    def _workdir(self, instruction: Instruction) -> None:
        folder = PurePosixPath(self.description["WorkingDir"]) / expand(instruction.text, self._variables)
        self.description["WorkingDir"] = str(folder)
        self._inside(str(folder)).mkdir(parents=True, exist_ok=True)

    def _user(self, instruction: Instruction) -> None:
        self.description["User"] = expand(instruction.text, self._variables)

    def _volume(self, instruction: Instruction) -> None:
        self.description["Volumes"] = [*self.description.get("Volumes", ()), *self._words(instruction)]

    def _program(self, instruction: Instruction) -> None:
        words = instruction.exec_form or ["/bin/sh", "-c", instruction.text]
        self.description["Entrypoint" if instruction.keyword == "ENTRYPOINT" else "Cmd"] = words
        if instruction.keyword == "ENTRYPOINT":
            # As with docker: CMD of the base image belongs to the base image's entry point.
            self.description["Cmd"] = None

    def _healthcheck(self, instruction: Instruction) -> None:
        kind, _, rest = instruction.text.partition(" ")
        words = Instruction(instruction.line, "CMD", {}, rest).exec_form
        test = ["NONE"] if kind.upper() == "NONE" else ["CMD", *words] if words else ["CMD-SHELL", rest]
        self.description["Healthcheck"] = {"Test": test, **instruction.flags}

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = self._words(instruction)
        if not sources:
            raise DockerfileError(instruction.line, f"{instruction.keyword} needs a source and a destination")
        files = self._source(instruction)
        found = [path for source in sources for path in files.find(source)]
        missing = [source for source in sources if not files.find(source)]
        if missing:
            where = f"--from={instruction.flags['from']}" if "from" in instruction.flags else "the build context"
            raise DockerfileError(instruction.line, f"{instruction.keyword} {missing[0]}: not found in {where}")
        destination = self._inside(target)
        into_folder = target.endswith("/") or len(found) > 1 or destination.is_dir()
        for path in found:
            mode = int(instruction.flags["chmod"], 8) if "chmod" in instruction.flags else None
            if path.is_dir() and not path.is_symlink():
                files.copy_tree(path, destination, mode)
            else:
                copy_file(path, destination / path.name if into_folder else destination, mode)

    def _source(self, instruction: Instruction) -> FileTree:
        source = instruction.flags.get("from")
        if source is None:
            return FileTree(self.request.context, ignore_patterns(self.request.context, self.request.dockerfile))
        name = expand(source, self._variables)
        if name.lower() in self.built:
            return FileTree(self.built[name.lower()].rootfs)
        root = self.rootfs.with_name(f"{self.rootfs.name}.from")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        _lay_out_base(name, root, self.request.envoy)
        return FileTree(root)

    def _run(self, instruction: Instruction) -> None:
        mounts = dict(_bind_mounts(instruction))
        words = shlex.split(expand(instruction.text, self._variables), posix=True)
        folder: str | None = None
        for command in _commands(words):
            program, *rest = command
            if PurePosixPath(program).name.startswith("python") and rest[:2] == ["-m", "venv"]:
                folder = rest[-1]
                continue
            if PurePosixPath(program).name.startswith("python") and rest[:2] == ["-m", "compileall"]:
                self._compile(rest[-1])
            if PurePosixPath(program).name.startswith("python") and rest[:2] == ["-m", "pip"]:
                program, rest = str(PurePosixPath(program).with_name("pip")), rest[2:]
            if PurePosixPath(program).name.startswith("pip") and rest[:1] == ["install"]:
                at = str(PurePosixPath(program).parent.parent) if program.startswith("/") else folder
                self._install(instruction, at, rest[1:], mounts)
                folder = None

    def _install(
        self, instruction: Instruction, folder: str | None, options: list[str], mounts: dict[str, str]
    ) -> None:
        if folder is None:
            raise DockerfileError(instruction.line, "pip install: only into an environment made by `python -m venv`")
        files: dict[str, Path] = {}
        for flag, value in itertools.pairwise(options):
            if flag in ("-r", "--requirement", "-c", "--constraint"):
                inside = str(PurePosixPath(self.description["WorkingDir"]) / value)
                path = self.request.context / mounts[inside] if inside in mounts else self._inside(inside)
                if not path.is_file():
                    raise DockerfileError(instruction.line, f"pip install {flag} {value}: no such file in the image")
                files[flag.lstrip("-")[0]] = path
        if "r" not in files:
            raise DockerfileError(instruction.line, "pip install: only what a requirements file (-r) names")
        target = self._inside(folder)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(
            requirements_environment(
                self.request.venvs, files["r"], files.get("c"), self.say, python_of(self.stage.base)
            )
        )

    def _compile(self, folder: str) -> None:
        if not self._inside(folder).is_dir():
            return  # of this machine's Python, which is compiled
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        # The compiled files name their sources as the image does: equal images have equal bytes.
        compileall.compile_dir(self._inside(folder), ddir=folder, quiet=1, invalidation_mode=mode)

    def _inside(self, path: str) -> Path:
        absolute = PurePosixPath("/") / self.description["WorkingDir"] / path
        return self.rootfs / str(absolute).lstrip("/")


def _lay_out_base(reference: str, rootfs: Path, envoy: Path | None) -> None:
    """Lay out a base image: links to this machine's Python or Envoy in their places."""
    repository = reference.partition("@")[0].rsplit(":", 1)[0]
    binaries = rootfs / "usr/local/bin"
    if repository.rsplit("/", 1)[-1] == "python":
        binaries.mkdir(parents=True)
        # The interpreter itself, not this environment's: images have nothing but the standard library.
        for name in ("python", "python3"):
            (binaries / name).symlink_to(Path(sys.executable).resolve())
    elif repository.rsplit("/", 1)[-1].startswith("envoy") and envoy is not None:
        binaries.mkdir(parents=True)
        (binaries / "envoy").symlink_to(envoy)


def _bind_mounts(instruction: Instruction) -> list[tuple[str, str]]:
    mounts = []
    for value in filter(None, instruction.flags.get("mount", "").split("\n")):
        options = dict(item.partition("=")[::2] for item in value.split(","))
        source, target = options.get("source") or options.get("src"), options.get("target") or options.get("dst")
        if options.get("type", "bind") == "bind" and source and target:
            mounts.append((str(PurePosixPath("/") / target), source.lstrip("/")))
    return mounts


def _commands(words: list[str]) -> list[list[str]]:
    """The simple commands of ``a && b; c``."""
    commands: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", ";", "||"):
            commands.append([])
        else:
            commands[-1].append(word.removesuffix(";"))
            if word.endswith(";"):
                commands.append([])
    return [command for command in commands if command]
