"""What deployments turned out not to offer, remembered for as long as a process lives.

Deployments lag behind the API (ARCHIVE §4.1), and each thing that one lacks costs a refused request to find out. A service that
mirrors for months would pay that with every cycle of every manifest.
"""

from typing import Final

from downloader.clock import Clock

REMEMBERED_SECONDS: Final = 86_400.0
"""After so long a way is tried again: deployments are brought up to date, too."""


class MissingRoutes:
    """The ways to get images, by their number in the table, that one deployment does not offer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted_at: dict[int, float] = {}

    def __contains__(self, number: int) -> bool:
        noted_at = self._noted_at.get(number)
        return noted_at is not None and self._clock.monotonic() - noted_at < REMEMBERED_SECONDS

    def add(self, number: int) -> None:
        """It turned out to be missing."""
        self._noted_at[number] = self._clock.monotonic()


class Deployments:
    """One for everything in a process that asks the same archives: the manifests of a command, the cycles of a service."""

    def __init__(self) -> None:
        self._missing: dict[tuple[str, str], MissingRoutes] = {}

    def missing_routes(self, base_url: str, api: str, clock: Clock) -> MissingRoutes:
        """What is known of the deployment at this address, for those who ask it in this generation to add to."""
        return self._missing.setdefault((base_url.rstrip("/"), api), MissingRoutes(clock))
