"""The file that holds a server's bearer token."""

import pathlib

import click


def read_token(file: pathlib.Path | None) -> str:
    """Returns the token in a file, nothing without a file.

    Raises:
      click.UsageError: the file cannot be read, or is empty.
    """
    if file is None:
        return ""
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"expected a token in {file}; it cannot be read: {error}") from error
    if not token:
        raise click.UsageError(f"expected a token in {file}; there is none")
    return token
