"""What can go wrong with a bulk prediction, and how its words get through Beam; no checking."""

import re


class WrongInput(ValueError):
    """The input, output or model that was named cannot be used; the message says what to do."""


class BulkFailed(RuntimeError):
    """It began well and could not go on; the message says what to do."""


_BY_BEAM = re.compile(r" \[while running .*", re.DOTALL)
_IN_TRACEBACK = re.compile(rf"{re.escape(BulkFailed.__module__)}\.BulkFailed: ([^\n]*)")


def words_of(error: BaseException) -> str | None:
    """Returns the words of the `BulkFailed` that made a Beam job fail, None where none did.

    A runner in this process raises the error itself, with its step added to the message; others
    raise an error of their own whose message holds a worker's traceback.
    """
    if isinstance(error, BulkFailed):
        return _BY_BEAM.sub("", str(error))
    found = _IN_TRACEBACK.findall(str(error))
    return _BY_BEAM.sub("", found[-1]) if found else None
