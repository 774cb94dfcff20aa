"""``docs/errors.md`` lists every error and exit code as the code has them."""

from __future__ import annotations

import inspect

from meshcert import errors
from meshcert.cli.exit_codes import EXIT_CODES as CLI_EXIT_CODES
from meshcert.contract.exit_codes import EXIT_CODES
from meshcert.errors import MeshcertError, NotReady
from tests.docs.pages import rows

PAGE = "docs/errors.md"


def test_every_error_is_on_the_page_with_whether_it_heals() -> None:
    """The table of errors lists each class a caller can meet, and NotReady's as healing."""
    told = {name.strip("`"): heals for name, _, heals in rows(PAGE, "| error | means | heals by itself |")}
    raised = {
        name: error
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, MeshcertError) and not name.startswith("_")
    }
    concrete = set(raised) - {"MeshcertError", "NotReady", "Rejected"}

    assert set(told) == concrete
    for name, heals in told.items():
        assert (heals == "yes") == issubclass(raised[name], NotReady), name


def test_every_exit_code_of_the_container_is_on_the_page_in_the_programs_own_words() -> None:
    """With what to do about it."""
    assert {int(code): cause for code, cause, _ in rows(PAGE, "| code | cause | what to do |")} == EXIT_CODES


def test_every_exit_code_of_the_command_line_is_on_the_page_in_its_own_words() -> None:
    """Scripts depend on them."""
    assert {int(code): means for code, means in rows(PAGE, "| code | means |")} == CLI_EXIT_CODES
