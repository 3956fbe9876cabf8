"""Reads a catalogue, and a script of faults with it, from a YAML or JSON file. docs/sandbox.md shows the shape."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from downloader.errors import SettingsError
from downloader.sandbox.builder import generated_series, sample_series, study_of
from downloader.sandbox.catalogue import PUBLIC, Catalogue, SandboxCollection, SandboxPatient, SandboxSeries, SandboxStudy
from downloader.sandbox.faults import Fault, fault_kind
from downloader.sandbox.headers import sample_path
from downloader.sandbox.tokens import Access, TokenStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFile:
    """What a catalogue file says."""

    catalogue: Catalogue
    faults: tuple[Fault, ...]
    access: Access


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Fault(_Strict):
    kind: str
    series_instance_uid: str | None = None
    endpoints: tuple[str, ...] = ()
    times: int | None = None
    after: int = 0
    at_bytes: int | None = None
    images: int | None = None
    rows: int | None = None
    status: int | None = None
    retry_after_seconds: int | None = None
    location: str | None = None
    text: str | None = None
    size_bytes: int | None = None
    delay_seconds: float | None = None


class _Series(_Strict):
    images: Annotated[int | None, Field(ge=0)] = None
    rows: int = 256
    columns: int = 256
    acquisitions: int = 1
    samples: tuple[str, ...] = ()
    numbered: bool = True
    seed: int | None = None
    copies: Annotated[int, Field(ge=1)] = 1
    faults: tuple[_Fault, ...] = ()
    series_instance_uid: str = ""
    modality: str = "CT"
    body_part_examined: str | None = None
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None
    software_versions: str | None = None
    protocol_name: str | None = None
    series_description: str | None = None
    series_number: int | None = None
    series_date: date | None = None
    submitted_at: datetime | None = None
    date_released: date | None = None
    third_party_analysis: str | None = None
    pixel_spacing_mm: float = 0.75
    slice_thickness_mm: float = 1.5
    annotation: str = ""
    visibility: int = PUBLIC


class _Study(_Strict):
    series: tuple[_Series, ...]
    study_instance_uid: str = ""
    study_date: date | None = None
    study_description: str | None = None
    admitting_diagnoses_description: str | None = None
    study_id: str | None = None
    patient_age: str | None = None
    longitudinal_temporal_event_type: str | None = None
    longitudinal_temporal_offset_from_event: str | None = None


class _Patient(_Strict):
    patient_id: str
    studies: tuple[_Study, ...]
    patient_name: str | None = None
    patient_birth_date: date | None = None
    patient_sex: str | None = None
    ethnic_group: str | None = None
    phantom: str = "NO"
    species_code: str = "337915000"
    species_description: str = "Homo sapiens"


class _Collection(_Strict):
    name: str
    patients: tuple[_Patient, ...]
    site: str | None = None
    license_name: str | None = None
    license_uri: str | None = None
    license_text: str = ""
    data_description_uri: str | None = None
    description: str | None = None


class _Access(_Strict):
    accounts: Mapping[str, str] = Field(default_factory=dict)
    api_keys: frozenset[str] = frozenset()
    api_key_header: str = "api_key"
    style: TokenStyle = TokenStyle.KEYCLOAK
    expires_in_seconds: Annotated[int | None, Field(gt=0)] = 7200
    refresh_expires_in_seconds: Annotated[int, Field(gt=0)] = 86_400


class _File(_Strict):
    collections: tuple[_Collection, ...]
    access: _Access = _Access()
    shared_carts: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    faults: tuple[_Fault, ...] = ()


_OF_CONTENT = {"images", "rows", "columns", "acquisitions", "samples", "numbered", "seed", "copies", "faults"}


def read_catalogue_file(path: Path) -> CatalogueFile:
    """Read a catalogue file.

    Raises:
        SettingsError: the file cannot be read, says something unknown or impossible, or names a series twice.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    try:
        content = _File.model_validate(document)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise SettingsError(f"{path}: {place}: {problem['msg']}") from error
    try:
        return _Reader().read(content)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error.what}", next_step=error.next_step) from error


@dataclass(slots=True)
class _Reader:
    """Makes the catalogue. Series and studies that name no seed are numbered from 1 in the order of the file."""

    next_seed: int = 1
    studies: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def read(self, content: _File) -> CatalogueFile:
        collections = tuple(
            SandboxCollection(
                **one.model_dump(exclude_unset=True, exclude={"patients"}),
                patients=tuple(self._patient(patient) for patient in one.patients),
            )
            for one in content.collections
        )
        self.faults.extend(_fault(one) for one in content.faults)
        catalogue = Catalogue(collections=collections, shared_carts=dict(content.shared_carts))
        access = Access(**content.access.model_dump(exclude_unset=True))
        return CatalogueFile(catalogue=catalogue, faults=tuple(self.faults), access=access)

    def _patient(self, patient: _Patient) -> SandboxPatient:
        attributes = patient.model_dump(exclude_unset=True, exclude={"studies"})
        return SandboxPatient(**attributes, studies=tuple(self._study(study) for study in patient.studies))

    def _study(self, study: _Study) -> SandboxStudy:
        self.studies += 1
        attributes = study.model_dump(exclude_unset=True, exclude={"series"})
        return study_of(*self._all_series(study.series), seed=self.studies, **attributes)

    def _all_series(self, entries: Iterable[_Series]) -> Iterator[SandboxSeries]:
        for entry in entries:
            if entry.copies > 1 and entry.series_instance_uid:
                raise SettingsError("copies of a series cannot share its series_instance_uid")
            first = self.next_seed if entry.seed is None else entry.seed
            self.next_seed = max(self.next_seed, first + entry.copies)
            for seed in range(first, first + entry.copies):
                yield self._series(entry, seed)

    def _series(self, entry: _Series, seed: int) -> SandboxSeries:
        series = _made(entry, seed)
        uid = series.series_instance_uid
        if uid in self.seen:
            raise SettingsError(f"series {uid} is defined twice", next_step="give each series another seed")
        self.seen.add(uid)
        self.faults.extend(_fault(one, uid) for one in entry.faults)
        return series


def _made(entry: _Series, seed: int) -> SandboxSeries:
    attributes = entry.model_dump(exclude_unset=True, exclude=_OF_CONTENT)
    if entry.samples:
        if entry.images is not None:
            raise SettingsError("a series must have either images or samples")
        for name in entry.samples:
            _check_sample(name)
        return sample_series(*entry.samples, seed=seed, numbered=entry.numbered, **attributes)
    return generated_series(
        seed=seed,
        images=1 if entry.images is None else entry.images,
        rows=entry.rows,
        columns=entry.columns,
        acquisitions=entry.acquisitions,
        numbered=entry.numbered,
        **attributes,
    )


def _check_sample(name: str) -> None:
    try:
        sample_path(name)
    except FileNotFoundError as error:
        raise SettingsError(f"pydicom has no sample file '{name}'") from error


def _fault(entry: _Fault, series_instance_uid: str | None = None) -> Fault:
    figures = entry.model_dump(exclude_unset=True, exclude={"kind"})
    if series_instance_uid:
        figures["series_instance_uid"] = series_instance_uid
    return Fault(kind=fault_kind(entry.kind), **figures)
