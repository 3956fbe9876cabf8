"""Packages of the extra `report`, which not every installation has."""

from importlib.util import find_spec

from downloader.errors import SettingsError


def require_extra(package: str, what: str) -> None:
    """Refuse early if a package is not installed.

    Args:
        package: its name in Python.
        what: what needs it, for the message.

    Raises:
        SettingsError: it is not installed.
    """
    if find_spec(package) is None:
        raise SettingsError(
            f"{what} needs {package}, which is not installed", next_step='install it: pip install "tciad[report]"'
        )
