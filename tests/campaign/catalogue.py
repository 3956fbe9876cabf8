"""The archive of an iteration: its series, their changes, and every version that each series ever had."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from random import Random
from typing import Final

from downloader.sandbox import (
    PUBLIC,
    Catalogue,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
    SandboxStudy,
    generated_series,
    sample_series,
    study_of,
)
from downloader.sandbox.builder import derived_uid
from downloader.sandbox.catalogue import Holding
from downloader.sandbox.images import Images

COLLECTIONS: Final = ("Sandbox", "LIDC-IDRI", "A/B: c", "Ünïcode 1", "name with blank ", "CON", 'Q\'uote, "x"')
PATIENTS: Final = ("P-0001", "P-0002", "P 3 ", "../up", "LICENSE", "Ü/1", "nul", "x" * 60)
SAMPLES: Final = (("MR_small.dcm", "MR"), ("MR_small_RLE.dcm", "MR"), ("rtplan.dcm", "RTPLAN"), ("CT_small.dcm", "CT"))
DESCRIPTIONS: Final = (None, "axial", "b/w 'n' more", "déjà vu", "x|y;z,  ")
MOST_IMAGES: Final = 12
SIDE: Final = 16
_FIRST_DAY: Final = date(2022, 1, 3)

Version = frozenset[str]
"""One version of a series: the MD5s of its images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSeries:
    """One series as the archive has it now. Each change of its content increments `edition`, which also changes its dates."""

    number: int
    collection: str
    patient_id: str
    study: int
    modality: str
    images: int
    sample: str = ""
    pixels: int = 0
    edition: int = 0
    description: str | None = None
    numbered: bool = True
    acquisitions: int = 1
    annotation: str = ""
    visibility: int = PUBLIC
    is_held: bool = True

    @property
    def series_instance_uid(self) -> str:
        """The same for all editions."""
        return derived_uid("campaign series", self.number)

    @property
    def study_instance_uid(self) -> str:
        """The study depends on the current patient."""
        return derived_uid("study", self.study_seed)

    @property
    def study_seed(self) -> int:
        """The seed of the study's UID: differs by patient and collection."""
        return int(md5(f"{self.collection}/{self.patient_id}/{self.study}".encode(), usedforsecurity=False).hexdigest()[:8], 16)

    @property
    def is_listed(self) -> bool:
        """Whether the archive lists the series and sends its images."""
        return self.is_held and self.visibility == PUBLIC and self.images > 0

    def build(self) -> SandboxSeries:
        """The series in the form of the sandbox."""
        submitted_at = datetime(2022, 5, 6, 7, 8, 9, tzinfo=UTC) + timedelta(days=self.edition, seconds=self.edition)
        series = (
            sample_series(*[self.sample] * self.images, seed=self.number)
            if self.sample
            else generated_series(
                seed=self.number * 1000 + self.pixels,
                images=self.images,
                rows=SIDE,
                columns=SIDE,
                acquisitions=self.acquisitions,
                numbered=self.numbered,
            )
        )
        return replace(
            series,
            series_instance_uid=self.series_instance_uid,
            modality=self.modality,
            series_description=self.description,
            body_part_examined="CHEST" if self.number % 2 else None,
            submitted_at=submitted_at,
            date_released=_FIRST_DAY + timedelta(days=self.edition),
            annotation=self.annotation,
            visibility=self.visibility,
        )


@dataclass(slots=True)
class World:
    """The archive of one iteration. `versions` are all versions of each series, the newest last."""

    series: dict[str, PlannedSeries] = field(default_factory=dict)
    versions: dict[str, list[Version]] = field(default_factory=dict)
    _known: dict[PlannedSeries, Version] = field(default_factory=dict)
    _next: int = 1

    def listed(self) -> Mapping[str, PlannedSeries]:
        """The series that the archive lists now."""
        return {uid: planned for uid, planned in self.series.items() if planned.is_listed}

    def newest(self, series_instance_uid: str) -> Version:
        """The newest version of a series that was ever listed."""
        return self.versions[series_instance_uid][-1]

    def age(self, series_instance_uid: str, content: Iterable[str]) -> int | None:
        """The index of the newest version with exactly this content: 0 for the first; None if the archive never had it."""
        found = frozenset(content)
        ages = [age for age, version in enumerate(self.versions.get(series_instance_uid, ())) if version == found]
        return ages[-1] if ages else None

    def put(self, planned: PlannedSeries) -> None:
        """Add the series, or replace the one with its UID."""
        uid = planned.series_instance_uid
        self.series[uid] = planned
        if not planned.is_listed:
            return
        version = self._version_of(planned)
        versions = self.versions.setdefault(uid, [])
        if not versions or versions[-1] != version:
            versions.append(version)

    def add(self, random: Random, collection: str, patient_id: str) -> PlannedSeries:
        """Add one series of that patient."""
        sample, modality = random.choice(SAMPLES) if random.random() < 0.12 else ("", random.choice(("CT", "CT", "MR")))
        images = random.randint(1, 2) if sample else random.choice((1, 2, 3, 3, 4, 5, 6, 8, MOST_IMAGES))
        planned = PlannedSeries(
            number=self._next,
            collection=collection,
            patient_id=patient_id,
            study=random.randint(1, 2),
            modality=modality,
            images=images,
            sample=sample,
            description=random.choice(DESCRIPTIONS),
            numbered=random.random() < 0.8,
            acquisitions=1 if images < 4 else random.randint(1, 2),
            annotation="<a/>" if random.random() < 0.1 else "",
        )
        self._next += 1
        self.put(planned)
        return planned

    def catalogue(self) -> Catalogue:
        """The catalogue for the sandbox."""
        tree: dict[str, dict[str, dict[int, list[PlannedSeries]]]] = {}
        for planned in self.series.values():
            if planned.is_held:
                patients = tree.setdefault(planned.collection, {})
                patients.setdefault(planned.patient_id, {}).setdefault(planned.study_seed, []).append(planned)
        return Catalogue(
            collections=tuple(
                SandboxCollection(
                    name=name,
                    patients=tuple(
                        SandboxPatient(
                            patient_id=patient_id,
                            patient_name=patient_id,
                            studies=tuple(_study(seed, series) for seed, series in studies.items()),
                        )
                        for patient_id, studies in patients.items()
                    ),
                )
                for name, patients in tree.items()
            )
        )

    def _version_of(self, planned: PlannedSeries) -> Version:
        """The MD5s of the images, computed from their bytes."""
        if planned not in self._known:
            self._known[planned] = frozenset(md5(image, usedforsecurity=False).hexdigest() for image in images_of(planned))
        return self._known[planned]


def images_of(planned: PlannedSeries) -> Sequence[bytes]:
    """The bytes of each image of a series."""
    study = _study(planned.study_seed, [planned])
    patient = SandboxPatient(patient_id=planned.patient_id, patient_name=planned.patient_id, studies=(study,))
    collection = SandboxCollection(name=planned.collection, patients=(patient,))
    holding = Holding(collection, patient, study, study.series[0])
    return [b"".join(map(bytes, image.chunks())) for image in Images().of(holding)]


def _study(seed: int, series: Sequence[PlannedSeries]) -> SandboxStudy:
    return study_of(*(planned.build() for planned in series), seed=seed, study_id=f"ST-{seed % 100}")


def draw_world(random: Random) -> World:
    """Two or three collections of a few patients, 6 to 14 series in all."""
    world = World()
    for collection in random.sample(COLLECTIONS, random.randint(2, 3)):
        for patient_id in random.sample(PATIENTS, random.randint(1, 3)):
            for _ in range(random.randint(1, 2)):
                world.add(random, collection, patient_id)
    while len(world.series) < 6:
        planned = random.choice(list(world.series.values()))
        world.add(random, planned.collection, planned.patient_id)
    return world


def _grow(random: Random, planned: PlannedSeries) -> PlannedSeries:
    return replace(planned, images=planned.images + random.randint(1, 2))


def _shrink(_: Random, planned: PlannedSeries) -> PlannedSeries:
    return replace(planned, images=max(1, planned.images - 1))


def _recurate(random: Random, planned: PlannedSeries) -> PlannedSeries:
    """Other pixels in every image, and often one image more or fewer. Samples never change."""
    if planned.sample:
        return planned
    return replace(planned, pixels=planned.pixels + 1, images=max(1, planned.images + random.choice((-1, 0, 1, 1))))


def _rename_patient(random: Random, planned: PlannedSeries) -> PlannedSeries:
    """Move the series to another patient, also inside its images."""
    others = [name for name in PATIENTS if name.casefold() != planned.patient_id.casefold()]
    return replace(planned, patient_id=random.choice(others))


def _redescribe(_: Random, planned: PlannedSeries) -> PlannedSeries:
    return replace(planned, description="described anew")


CHANGES: Final = {
    "grows": _grow,
    "shrinks": _shrink,
    "recurated": _recurate,
    "renamed": _rename_patient,
    "redescribed": _redescribe,
}


def change_world(random: Random, world: World) -> list[str]:
    """Make one to three changes; returns their descriptions.

    A collection never becomes empty: a manifest that names a missing collection is a different case.
    """
    return [_change_once(random, world) for _ in range(random.choice((1, 1, 2, 3)))]


def _change_once(random: Random, world: World) -> str:
    kind = random.choice((*CHANGES, *CHANGES, "withdrawn", "withdrawn", "hidden", "returns", "returns", "new"))
    planned = random.choice(list(world.series.values()))
    if kind == "new":
        return f"new {world.add(random, planned.collection, planned.patient_id).number}"
    if kind == "returns":
        gone = [one for one in world.series.values() if not one.is_listed]
        if not gone:
            return "nothing"
        planned = random.choice(gone)
        world.put(replace(planned, is_held=True, visibility=PUBLIC))
        return f"returns {planned.number}"
    if not planned.is_listed:
        return "nothing"
    if kind in {"withdrawn", "hidden"}:
        return withdraw(world, planned, is_hidden=kind == "hidden")
    changed = CHANGES[kind](random, planned)
    if changed == planned or (changed.sample and changed.images > 2):
        return "nothing"
    # a collection stays, even if its last series moves to another patient
    world.put(replace(changed, edition=planned.edition + 1))
    return f"{kind} {planned.number}"


def withdraw(world: World, planned: PlannedSeries, *, is_hidden: bool = False) -> str:
    """Remove a series from the lists, unless it is the last of its collection."""
    others = [one for one in world.listed().values() if one.collection == planned.collection and one != planned]
    if not others:
        return "nothing"
    world.put(replace(planned, visibility=12) if is_hidden else replace(planned, is_held=False))
    return f"{'hidden' if is_hidden else 'withdrawn'} {planned.number}"
