"""The functions' code: our package beside wheels from pip, without Docker. Only this file knows pip."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from stacks.runtime import WHEEL_PLATFORMS

if TYPE_CHECKING:
    from stacks.runtime import Platform

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "lambdas" / "requirements.lock"
# Left out because only people and proxies run it: no function reads a mesh file or writes Envoy's configuration.
NOT_IN_FUNCTIONS = shutil.ignore_patterns(
    "mesh", "envoy", "cli", "requirements.txt", "ruff.toml", ".ruff_cache", "__pycache__"
)


def function_code(platform: Platform) -> lambda_.Code:
    """
    One bundle for all functions: wheels for the platform, ``meshcert`` and the handlers' folders.

    Its hash is that of the result. With the hash of the source folder ``lambdas/``, an edit in ``meshcert/`` would
    never be deployed.
    """
    return lambda_.Code.from_asset(
        str(ROOT / "lambdas"),
        asset_hash_type=AssetHashType.OUTPUT,
        bundling=BundlingOptions(image=DockerImage.from_registry("never-used"), local=_Bundle(platform)),
    )


@jsii.implements(ILocalBundling)
class _Bundle:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def try_bundle(self, output_dir: str, *_options: Any, **_more: Any) -> bool:
        """
        Fill ``output_dir``; the answer is always true.

        A failure raises instead: with False, the CDK would go on to Docker and hide the cause.
        """
        lay_out_bundle(Path(output_dir), self._platform)
        return True


def lay_out_bundle(target: Path, platform: Platform) -> None:
    """
    Put wheels, ``meshcert`` and the handlers' folders side by side.

    Args:
        target: An empty folder.

    Raises:
        CalledProcessError: If pip fails; its own text has gone to standard error.
    """
    shutil.copytree(_wheels(platform), target, dirs_exist_ok=True)
    shutil.copytree(ROOT / "meshcert", target / "meshcert", ignore=NOT_IN_FUNCTIONS)
    for handler in sorted((ROOT / "lambdas").glob("*/handler.py")):
        shutil.copytree(handler.parent, target / handler.parent.name, ignore=NOT_IN_FUNCTIONS)


def _wheels(platform: Platform) -> Path:
    """The folder of unpacked wheels, installed once for each set of pins: pip is slower than the rest of synthesis."""
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    folder = ROOT / "build" / "wheels" / f"{platform.architecture}-{platform.python}-{pins}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own: two syntheses may install at once, and the first to finish wins.
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Without --no-compile, pip would add .pyc files for the Python that runs it, not for the functions'.
    command += ["--no-compile", "--target", str(partial), "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", platform.python]
    for tag in WHEEL_PLATFORMS[platform.architecture]:
        command += ["--platform", tag]
    command += ["--require-hashes", "--requirement", str(REQUIREMENTS)]
    # Standard output belongs to jsii, so pip's goes to standard error.
    subprocess.run(command, check=True, stdout=sys.stderr)
    try:
        partial.rename(folder)
    except OSError:
        shutil.rmtree(partial)
        if not folder.exists():
            raise
    return folder
