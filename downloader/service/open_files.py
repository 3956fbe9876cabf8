"""The limit of open files of the process."""

import resource
from typing import Final

import structlog

_ENOUGH: Final = 65_536
_log = structlog.get_logger(__name__)


def raise_open_file_limit() -> int:
    """Raise the soft limit (RLIMIT_NOFILE) to the hard one, which needs no privileges; returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            _log.warning("limit of open files not raised", open_files=soft, message=str(error))
            return soft
        return wanted
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft
