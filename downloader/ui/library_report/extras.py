"""What the report needs beyond what every tciad has: the extra `report`."""

from importlib.util import find_spec

from downloader.errors import SettingsError


def require_extra(package: str, what: str) -> None:
    """Refuse where the package is not installed, before anything is read.

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
