"""The rate of received bytes during the last hour, for the plot of the page."""

from collections import deque
from typing import Final

from downloader.clock import Clock
from downloader.service.port import ServiceReports
from downloader.web.forecast import Forecast
from downloader.web.schemas import ThroughputSample

SAMPLE_SECONDS: Final = 10.0
KEPT_SECONDS: Final = 3_600.0


class Throughput:
    """Samples the rate of all running cycles together."""

    def __init__(self, service: ServiceReports, clock: Clock, forecast: Forecast) -> None:
        self._service = service
        self._forecast = forecast
        self._clock = clock
        self._samples: deque[ThroughputSample] = deque(maxlen=int(KEPT_SECONDS / SAMPLE_SECONDS))

    async def keep_sampling(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(SAMPLE_SECONDS)
            running = self._service.progress()
            self._forecast.note(running, self._clock.monotonic())
            rate = sum(progress.bytes_per_second for progress in running.values())
            self._samples.append(ThroughputSample(at=self._clock.now(), bytes_per_second=rate))

    def samples(self) -> tuple[ThroughputSample, ...]:
        """The last hour, oldest first."""
        return tuple(self._samples)
