"""The user's passphrase: typed, or read from a descriptor; never an argument, nor in the environment."""

from __future__ import annotations

import os

import click

from meshcert.material import Passphrase

_LONGEST = 1023
"""What OpenSSL takes for a PEM key (cryptography: "Passwords longer than 1023 bytes are not supported")."""


def given_passphrase(descriptor: int | None) -> Passphrase:
    """
    The passphrase.

    Args:
        descriptor: An open file of this process, whose first line it is; None: it is asked for, twice.

    Raises:
        click.UsageError: If there is none, or it is too long.
    """
    if descriptor is None:
        text = str(click.prompt("Passphrase for the files", hide_input=True, confirmation_prompt=True, err=True))
    else:
        try:
            with os.fdopen(descriptor, "rb", closefd=True) as file:
                line = file.readline(_LONGEST + 2)
        except OSError as error:
            raise click.UsageError(f"--passphrase-fd {descriptor}: {error.strerror}") from None
        try:
            text = line.rstrip(b"\r\n").decode()
        except UnicodeDecodeError:
            raise click.UsageError(f"--passphrase-fd {descriptor}: it is not UTF-8") from None
    if not 0 < len(text.encode()) <= _LONGEST:
        raise click.UsageError(f"the passphrase has to have 1 to {_LONGEST} bytes")
    return Passphrase(text)
