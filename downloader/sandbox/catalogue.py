"""What the sandbox holds: collections, patients, studies, series, and what each series' images are made of.

All of it is plain frozen data. Images are made from it on demand (`images.py`), so that a catalogue of any size starts at once.
Attributes that are None are absent from the replies, as NULL columns are (docs/archives.md#json-replies).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

from downloader.errors import SettingsError

PUBLIC = 1
LISTED_ONLY = 12
GENERATED_MODALITIES = ("CT", "MR")
# Rows and Columns are 16-bit numbers, the length of Pixel Data is one of 32 bits, and all ones is not a length.
_MAX_SIDE = 0xFFFF
_MAX_PIXELS_BYTES = 0xFFFFFFFE
DEFAULT_LICENSE_TEXT = (
    "These images are samples and noise, made for trying and testing.\nYou may use them as you like: Creative Commons Zero 1.0.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImages:
    """Images with a real sample's header and seeded 12-bit noise for pixels, which deflates to about 40 %.

    `acquisitions` splits the images into that many acquisitions of equal length, each with its own Acquisition Number
    (0020,0012). Without `numbered` the Instance Number (0020,0013) is empty, which Type 2 allows.
    """

    seed: int
    image_count: int
    rows: int = 256
    columns: int = 256
    acquisitions: int = 1
    numbered: bool = True

    def __post_init__(self) -> None:
        if self.image_count < 0 or self.acquisitions < 1:
            raise SettingsError("a series must have 0 or more images in 1 or more acquisitions")
        if not (1 <= self.rows <= _MAX_SIDE and 1 <= self.columns <= _MAX_SIDE):
            raise SettingsError(f"an image must have 1 to {_MAX_SIDE} rows and columns")
        if self.rows * self.columns * 2 > _MAX_PIXELS_BYTES:
            raise SettingsError("the pixels of one image must take less than 4 GiB", next_step="use fewer rows or columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleImages:
    """Sample files that pydicom ships, by file name, given the identifiers of the series they stand in.

    Without `numbered` there is no Instance Number at all.
    """

    file_names: tuple[str, ...]
    numbered: bool = True


SeriesContent = GeneratedImages | SampleImages


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSeries:
    """One series.

    `visibility` 1 is public; 12 is known to the metadata endpoints and refused by the image endpoints
    (docs/archives.md#series-queries). Every other value hides the series. `annotation` is the text of one annotation file,
    which only getDCMImage sends.
    """

    series_instance_uid: str
    modality: str
    content: SeriesContent
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
    third_party_analysis: str | None = "NO"
    pixel_spacing_mm: float = 0.75
    slice_thickness_mm: float = 1.5
    annotation: str = ""
    visibility: int = PUBLIC

    def __post_init__(self) -> None:
        if isinstance(self.content, GeneratedImages) and self.modality not in GENERATED_MODALITIES:
            raise SettingsError(f"images of modality {self.modality} cannot be generated", next_step="use CT or MR, or samples")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxStudy:
    """One study of one patient."""

    study_instance_uid: str
    series: tuple[SandboxSeries, ...]
    study_date: date | None = None
    study_description: str | None = None
    admitting_diagnoses_description: str | None = None
    study_id: str | None = None
    patient_age: str | None = None
    longitudinal_temporal_event_type: str | None = None
    longitudinal_temporal_offset_from_event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPatient:
    """One patient of one collection. Phantom and species have the archive's own defaults.

    Source: docs/archives.md#patients-and-studies.
    """

    patient_id: str
    studies: tuple[SandboxStudy, ...]
    patient_name: str | None = None
    patient_birth_date: date | None = None
    patient_sex: str | None = None
    ethnic_group: str | None = None
    phantom: str = "NO"
    species_code: str = "337915000"
    species_description: str = "Homo sapiens"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCollection:
    """One collection, with what its series say of licence and origin, and a description in HTML."""

    name: str
    patients: tuple[SandboxPatient, ...]
    site: str | None = None
    license_name: str | None = "Creative Commons Zero 1.0"
    license_uri: str | None = "https://creativecommons.org/publicdomain/zero/1.0/"
    license_text: str = DEFAULT_LICENSE_TEXT
    data_description_uri: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """One series with everything above it."""

    collection: SandboxCollection
    patient: SandboxPatient
    study: SandboxStudy
    series: SandboxSeries


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything a sandbox holds. `shared_carts` are the carts that getContentsByName knows: name to series."""

    collections: tuple[SandboxCollection, ...]
    shared_carts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def holdings(self) -> Mapping[str, Holding]:
        """Every series by its Series Instance UID, in the order of the catalogue."""
        return {holding.series.series_instance_uid: holding for holding in self._walk()}

    def _walk(self) -> Iterator[Holding]:
        for collection in self.collections:
            for patient in collection.patients:
                for study in patient.studies:
                    for series in study.series:
                        yield Holding(collection, patient, study, series)
