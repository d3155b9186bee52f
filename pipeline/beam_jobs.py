"""Words for the errors of Beam's jobs, which engines wrap in traces."""

import re

WHILE_RUNNING = re.compile(r" \[while running .*", re.DOTALL)  # Beam's, with a step's name
BY_AN_ENGINE = re.compile(r"^Pipeline \S+ failed in state \w+: ")
WITHOUT_A_SLOT = re.compile(r"NoResourceAvailableException|Timeout has occurred: \d+ ms")  # Flink's
NO_SLOT = "no task slot was free in time; wait for the other jobs, or start more task managers"
TRACEBACK = "Traceback (most recent call last):"
CAUSED_BY = "Caused by: "
PACKAGE = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])")
MOST_WORDS = 600  # characters


def in_words(error: BaseException | str) -> str:
    """Returns what an error says, without the trace with which an engine passes it on.

    A runner in this process raises the error itself, with its step added to the message. Others
    raise one whose message is a trace of Python, of Java, or of Java around Python.
    """
    text = str(error) or repr(error)
    words = _without_trace(BY_AN_ENGINE.sub("", text), whole=not BY_AN_ENGINE.match(text))
    return f"{words}: {NO_SLOT}" if WITHOUT_A_SLOT.search(words) else words


def _without_trace(text: str, whole: bool) -> str:
    """Returns the words in a text; it may have several lines if it is `whole`."""
    if TRACEBACK in text:
        lines = text.rpartition(TRACEBACK)[2].splitlines()[1:]
        found = next((line for line in lines if line and not line[0].isspace()), "")
        if found:
            return _shortened(WHILE_RUNNING.sub("", found)) + " (in a worker of Beam)"
    if "\n\tat " in text:
        first, *causes = text.split(CAUSED_BY)
        return _shortened((causes or [first])[-1].partition("\n\tat ")[0])
    words = WHILE_RUNNING.sub("", text)
    return words if whole else _shortened(words)


def _shortened(words: str) -> str:
    return PACKAGE.sub("", words).strip()[:MOST_WORDS]
