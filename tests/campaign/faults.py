"""Random scripts of the sandbox's faults, limited to faults that a careful client can detect.

Faults that no information of the archive reveals, such as a changed byte in an image without a digest, are excluded: no client
could detect them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from downloader.sandbox import DOWNLOADS, Fault, FaultKind
from tests.campaign.catalogue import PlannedSeries, World
from tests.campaign.manifests import Wish

_SPOILT_ZIPS: Final = (
    FaultKind.NO_MD5_LIST,
    FaultKind.WRONG_HASH,
    FaultKind.BLANK_HASH,
    FaultKind.SHORT_HASH,
    FaultKind.DUPLICATE_MEMBER,
    FaultKind.DUPLICATE_IMAGE,
    FaultKind.UNSAFE_NAME,
    FaultKind.CASE_COLLISION,
    FaultKind.LICENSE_ONLY,
    FaultKind.EMPTY_LICENSE,
    FaultKind.EMPTY_ZIP,
    FaultKind.WRONG_SERIES,
    FaultKind.NOT_DICOM,
    FaultKind.WRONG_CRC,
    FaultKind.WRONG_SIZE,
    FaultKind.EMPTY,
    FaultKind.HTML,
    FaultKind.JSON_TEXT,
    FaultKind.DENIED,
)
_STATUSES: Final = (400, 403, 404, 405, 429, 500, 502, 503, 504)
_LIST_ROUTES: Final = ("getImageWithMD5Hash",)
_SINGLE_ROUTES: Final = ("getMD5HashForImage", "getM5HashForImage", "getMD5Hierarchy", "getSOPInstanceUIDs", "getSingleImage")
_BRIEF: Final = 2
_REFUSALS: Final[Sequence[int | None]] = (0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 4, None)
_SILENT: Final = frozenset({FaultKind.SHORT_LIST, FaultKind.EMPTY, FaultKind.EMPTY_ROWS, FaultKind.WITHDRAWN})
_QUERIES: Final = (
    "getSeries",
    "getSeriesSize",
    "getPatientStudy",
    "getCollectionValues",
    "getSeriesMetaData",
    "getSeriesMetadata",
)


@dataclass(slots=True)
class Script:
    """The faults of one step. `hides_series`: lists may be silently short during the step."""

    faults: list[Fault] = field(default_factory=list)

    @property
    def hides_series(self) -> bool:
        """Whether a list may be silently short."""
        return any(fault.kind in _SILENT and not set(fault.endpoints) & set(DOWNLOADS) for fault in self.faults)

    @property
    def is_empty(self) -> bool:
        """Whether there are no faults."""
        return not self.faults

    def __str__(self) -> str:
        return ", ".join(map(_describe, self.faults))


def _describe(fault: Fault) -> str:
    times = "" if fault.times == 1 else " always" if fault.times is None else f" {fault.times} times"
    figure = fault.status or fault.images or fault.rows or fault.at_bytes
    where = f" at {'/'.join(fault.endpoints)}" if fault.endpoints else ""
    return f"{fault.kind}{f' {figure}' if figure else ''}{times}{where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    """The inputs for drawing a script. `lists_are_offered`: digests of whole series are always available in this script."""

    random: Random
    world: World
    wish: Wish
    lists_are_offered: bool
    secrets: Sequence[str]

    def series(self) -> PlannedSeries:
        return self.random.choice(list(self.world.listed().values()))

    def times(self) -> int | None:
        return self.random.choice((1, 1, 1, 1, 2, None))


def draw_script(random: Random, world: World, wish: Wish, secrets: Sequence[str]) -> Script:
    """Draw no, few or many faults; never two that together look like a correct archive."""
    if random.random() < 0.15:
        return Script()
    refusals = random.choice(_REFUSALS)
    # a route that is refused for long may look like one that is not offered
    is_brief = refusals is not None and refusals <= _BRIEF
    offered = wish.asks_digests and is_brief
    plot = _Plot(random=random, world=world, wish=wish, lists_are_offered=offered, secrets=secrets)
    script = Script(_refused_digests(plot, refusals))
    series = list(world.listed().values())
    for planned in random.sample(series, random.randint(0, len(series))):
        script.faults += _spoilt_download(plot, planned)
    for draw in random.sample(_ELSEWHERE, random.choice((0, 0, 1, 1, 2))):
        script.faults += draw(plot)
    return script


def _refused_digests(plot: _Plot, refusals: int | None) -> list[Fault]:
    """Digest endpoints that return "not found", once or always: a proxy, a deployment, a server without them."""
    random, status = plot.random, plot.random.choice((404, 405))
    faults: list[Fault] = []
    if refusals is None:
        faults += [Fault(kind=FaultKind.STATUS, status=status, endpoints=_LIST_ROUTES)]
    elif refusals:
        faults += [Fault(kind=FaultKind.STATUS, status=status, endpoints=DOWNLOADS, times=refusals)]
    if random.random() < 0.3:
        routes = tuple(random.sample(_SINGLE_ROUTES, random.randint(1, 3)))
        faults += [Fault(kind=FaultKind.STATUS, status=status, endpoints=routes, times=random.choice((1, 2, None)))]
    if random.random() < 0.1:
        faults += [Fault(kind=FaultKind.EMPTY, endpoints=_SINGLE_ROUTES[:3])]
    return faults


def _spoilt_download(plot: _Plot, planned: PlannedSeries) -> list[Fault]:
    """One fault of the images of one series, or one for each of two attempts."""
    random, uid = plot.random, planned.series_instance_uid
    draws: list[Callable[[_Plot, PlannedSeries], list[Fault]]] = [_spoilt_zip, _broken_line, _short_zip, _refusal]
    if plot.lists_are_offered:
        draws += [_changed_bytes, _changed_bytes, _changed_bytes]
    faults = random.choice(draws)(plot, planned)
    return [fault if fault.endpoints == _SINGLE_ROUTES[:3] else replace(fault, series_instance_uid=uid) for fault in faults]


def _spoilt_zip(plot: _Plot, planned: PlannedSeries) -> list[Fault]:
    kind = plot.random.choice(_SPOILT_ZIPS)
    if kind is FaultKind.EMPTY:
        return [Fault(kind=kind, endpoints=DOWNLOADS, times=plot.times())]
    return [Fault(kind=kind, times=plot.times())]


def _broken_line(plot: _Plot, planned: PlannedSeries) -> list[Fault]:
    """A body cut at any byte. Images requested singly may then be cut as well, or have a changed byte if digests reveal it."""
    random = plot.random
    kind = random.choice((FaultKind.CUT, FaultKind.CLEAN_CUT, FaultKind.FLIPPED_BYTE))
    at_bytes = random.randint(0, planned.images * 2000)
    faults = [Fault(kind=kind, at_bytes=at_bytes, times=random.choice((1, 1, 2)))]
    if random.random() < 0.4:
        faults.append(Fault(kind=FaultKind.CUT, at_bytes=random.randint(0, 2000), times=1, endpoints=("getSingleImage",)))
    elif random.random() < 0.4 and plot.lists_are_offered:
        at_bytes = random.randint(1500, 2200)
        faults.append(Fault(kind=FaultKind.FLIPPED_BYTE, at_bytes=at_bytes, times=1, endpoints=("getSingleImage",)))
    return faults


def _short_zip(plot: _Plot, planned: PlannedSeries) -> list[Fault]:
    kind = plot.random.choice((FaultKind.SHORT_ZIP, FaultKind.HALF_IMAGE, FaultKind.EXTRA_IMAGE))
    if kind is FaultKind.EXTRA_IMAGE:
        return [Fault(kind=kind, times=plot.times())]
    return [Fault(kind=kind, images=plot.random.randint(1, planned.images), times=plot.times())]


def _refusal(plot: _Plot, planned: PlannedSeries) -> list[Fault]:
    """An error status; its text may echo the request, as careless gateways do."""
    random = plot.random
    text = f"bad request: {random.choice(plot.secrets)}" if plot.secrets and random.random() < 0.4 else None
    return [Fault(kind=FaultKind.STATUS, status=random.choice(_STATUSES), text=text, times=random.choice((1, 1, 2)))]


def _changed_bytes(plot: _Plot, planned: PlannedSeries) -> list[Fault]:
    """A changed image that only its digest reveals: in a whole ZIP, or in one that is cut and resumed."""
    random = plot.random
    kept = random.choice((0, random.randint(1, planned.images)))
    faults = [Fault(kind=FaultKind.CHANGED_IMAGE, images=kept, times=random.choice((1, 1, 1, 2)))]
    if kept and random.random() < 0.5:
        # the images received so far are kept, the others are requested singly, and there is no digest of either
        faults.append(Fault(kind=FaultKind.STATUS, status=404, endpoints=_SINGLE_ROUTES[:3]))
    return faults


def _short_list(plot: _Plot) -> list[Fault]:
    return [Fault(kind=FaultKind.SHORT_LIST, rows=plot.random.randint(1, 4), times=1, endpoints=("getSeries",))]


def _empty_list(plot: _Plot) -> list[Fault]:
    kind = plot.random.choice((FaultKind.EMPTY, FaultKind.EMPTY, FaultKind.EMPTY_ROWS))
    return [Fault(kind=kind, times=plot.random.choice((1, 1, 2)), after=plot.random.randint(0, 2), endpoints=("getSeries",))]


def _unlisted_series(plot: _Plot) -> list[Fault]:
    uid = plot.series().series_instance_uid
    return [
        Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=uid, times=plot.random.choice((1, 1, None)), endpoints=("getSeries",))
    ]


def _broken_list(plot: _Plot) -> list[Fault]:
    kinds = (FaultKind.CUT_LIST, FaultKind.UNMAPPABLE, FaultKind.HTML, FaultKind.STATUS, FaultKind.NUMBERS_AS_TEXT)
    kind = plot.random.choice(kinds)
    return [Fault(kind=kind, times=1, endpoints=(plot.random.choice(_QUERIES),))]


def _odd_row(plot: _Plot) -> list[Fault]:
    uid = plot.series().series_instance_uid
    kind = plot.random.choice((FaultKind.ESCAPE_TEXT, FaultKind.RECOUNTED))
    if kind is FaultKind.ESCAPE_TEXT:
        return [Fault(kind=kind, series_instance_uid=uid)]
    # more than any fault of downloads takes
    return [Fault(kind=kind, series_instance_uid=uid, images=plot.world.series[uid].images + 3, times=plot.random.choice((1, 2)))]


def _unreadable_row(plot: _Plot) -> list[Fault]:
    uid = plot.series().series_instance_uid
    return [Fault(kind=FaultKind.BAD_UID, series_instance_uid=uid, text=plot.random.choice((f"{uid} ", f"{uid}.", "../x", "")))]


def _hidden_images(plot: _Plot) -> list[Fault]:
    return [Fault(kind=FaultKind.HIDDEN_IMAGES, rows=1, times=plot.random.choice((1, None)))]


def _stall(plot: _Plot) -> list[Fault]:
    """Silence within a body. Silence before the headers is legal for minutes, and would take too long here."""
    return [Fault(kind=FaultKind.STALL, at_bytes=700, times=1)]


def _forgotten_tokens(plot: _Plot) -> list[Fault]:
    return [Fault(kind=FaultKind.FORGOTTEN_TOKENS, times=1, after=plot.random.randint(0, 5))]


_ELSEWHERE: Final[Sequence[Callable[[_Plot], list[Fault]]]] = (
    _short_list,
    _empty_list,
    _empty_list,
    _unlisted_series,
    _broken_list,
    _broken_list,
    _odd_row,
    _unreadable_row,
    _hidden_images,
    _stall,
    _forgotten_tokens,
)
