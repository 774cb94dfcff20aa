"""The README's tables say what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from entrypoint import exit_codes, settings
from meshcert import errors
from meshcert.errors import MeshcertError, NotReady

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()


def test_every_error_is_in_the_readme_with_whether_it_heals() -> None:
    """The table of errors lists each class a caller can meet, and NotReady's as healing."""
    told = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", README, re.MULTILINE))
    raised = {
        name: error
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, MeshcertError) and not name.startswith("_")
    }
    concrete = set(raised) - {"MeshcertError", "NotReady", "Rejected"}

    assert set(told) == concrete
    for name, heals in told.items():
        assert (heals.strip() == "yes") == issubclass(raised[name], NotReady), name


def test_every_exit_code_is_in_the_readme_in_the_programs_own_words() -> None:
    """The table of exit codes and the program's --help come from one list."""
    told = {int(code): cause for code, cause in re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE)}

    assert told == exit_codes.EXIT_CODES


def test_every_variable_of_the_envoy_container_is_in_the_readme() -> None:
    """Nobody has to read the source to learn what may be set."""
    read = {value for value in vars(settings).values() if isinstance(value, str) and value.startswith("MESHCERT_")}

    assert len(read) > 3
    for variable in read:
        assert f"`{variable}`" in README, variable


def test_every_make_target_the_readme_names_exists() -> None:
    """A command in the README that does nothing would be the first thing a user meets."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))

    assert named
    assert named <= targets
