"""Whether a process has ended, asked while it may be ending."""

import psutil


def ended(process: psutil.Process) -> bool:
    """Returns whether a process is gone, or a zombie that nobody has asked about yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it went between the two questions
        return True
