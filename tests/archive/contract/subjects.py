"""The implementations of the Source port, each holding the same three series."""

import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO

from downloader.archive.nbia.authentication import ApiKey, Authentication, Guest, GuestToken
from downloader.archive.nbia.endpoints import Generation
from downloader.archive.nbia.generations import GENERATIONS
from downloader.archive.port import NO_STUDY_NEEDS, CollectionDescription, Source, StudyNeeds
from downloader.archive.registry import open_archive
from downloader.clock import SystemClock
from downloader.model import Md5Mode, Series
from downloader.sandbox import (
    API_KEY,
    Catalogue,
    Sandbox,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
    generated_series,
    sample_series,
    serve_sandbox,
    study_of,
)
from downloader.transport.client import TransportSettings, open_transport
from tests.fakes.memory_archive import MemoryArchive, MemoryBody
from tests.fakes.object_archive import ObjectArchive

COLLECTION = "Lung, small"
PATIENT_ID = "P 1 "
SERIES: Sequence[SandboxSeries] = (
    generated_series(
        seed=1,
        images=3,
        rows=8,
        columns=8,
        body_part_examined="ABDOMEN_PELVIS ",
        manufacturer='"GE Healthcare", Ünit',
        series_description="axial/thin\tµ²",
        submitted_at=datetime(2022, 5, 6, tzinfo=UTC),
    ),
    generated_series(seed=2, images=1, rows=8, columns=8, modality="MR", body_part_examined=None, manufacturer=None),
    sample_series("rtplan.dcm", seed=3, modality="RTPLAN"),
)
DESCRIPTION = CollectionDescription(text="Small lungs", uri="https://doi.org/10.7937/small")
STUDY_ID, STUDY_DATE, STUDY_DESCRIPTION = "42/b", date(2019, 2, 3), 'CT, chest "low dose" '
CARTS: Mapping[str, tuple[str, ...]] = {"nbia-1": (SERIES[2].series_instance_uid, SERIES[0].series_instance_uid)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An archive, what it holds (each series' images by SOP Instance UID), and what its generation offers."""

    archive: Source
    images: Mapping[str, Mapping[str, bytes]]
    table: Generation


def images_of(sandbox: Sandbox) -> dict[str, dict[str, bytes]]:
    """The bytes of every image that a sandbox holds."""
    return {
        name: {image.sop_instance_uid: b"".join(map(bytes, image.chunks())) for image in sandbox.images_of(name)}
        for name in sandbox.catalogue.holdings
    }


@asynccontextmanager
async def open_subject(kind: str, needs: StudyNeeds = NO_STUDY_NEEDS) -> AsyncIterator[Subject]:
    """One implementation, open: a generation, `v4 of early 2025`, or `memory` and `objects`, which offer what v4 does."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(serve_sandbox(_make_catalogue(), include_md5=kind != "v4 of early 2025"))
        images = images_of(sandbox)
        if kind in ("memory", "objects"):
            fake = ObjectArchive() if kind == "objects" else MemoryArchive()
            fill_memory_archive(fake, sandbox, images)
            yield Subject(archive=fake, images=images, table=GENERATIONS["v4"])
            return
        clock = SystemClock()
        transport = await stack.enter_async_context(open_transport(TransportSettings(), clock))
        api = kind.split(maxsplit=1)[0]
        archive = open_archive(
            "sandbox",
            sandbox.bindaas_url if api == "bindaas" else sandbox.base_url,
            api=api,
            transport=transport,
            clock=clock,
            authentication=_AUTHENTICATION.get(api, Guest()),
            needs=needs,
        )
        yield Subject(archive=archive, images=images, table=GENERATIONS[api])


def _make_catalogue() -> Catalogue:
    """The three series, in a study of which the archive knows everything."""
    study = study_of(*SERIES, seed=0, study_id=STUDY_ID, study_date=STUDY_DATE, study_description=STUDY_DESCRIPTION)
    patient = SandboxPatient(patient_id=PATIENT_ID, studies=(study,), patient_name=PATIENT_ID, patient_sex="O")
    collection = SandboxCollection(
        name=COLLECTION,
        patients=(patient,),
        description=f"<p>{DESCRIPTION.text}</p>",
        data_description_uri=DESCRIPTION.uri,
    )
    return Catalogue(collections=(collection,), shared_carts=CARTS)


_AUTHENTICATION: Mapping[str, Authentication] = {"v2": GuestToken(), "bindaas": ApiKey(API_KEY)}


def fill_memory_archive(archive: MemoryArchive, sandbox: Sandbox, images: dict[str, dict[str, bytes]]) -> None:
    """Give the archive what the sandbox holds."""
    archive.descriptions = {COLLECTION: DESCRIPTION}
    archive.images = images
    archive.carts = {name: list(series) for name, series in CARTS.items()}
    for name, holding in sandbox.catalogue.holdings.items():
        held = holding.series
        archive.rows.append(
            Series(
                series_instance_uid=name,
                study_instance_uid=holding.study.study_instance_uid,
                collection=COLLECTION,
                patient_id=PATIENT_ID,
                modality=held.modality,
                body_part_examined=held.body_part_examined or "",
                manufacturer=held.manufacturer or "",
                manufacturer_model_name=held.manufacturer_model_name or "",
                series_description=held.series_description or "",
                series_number="1",
                series_date=date(2021, 3, 4),
                date_released=date(2022, 6, 7),
                submitted_at=datetime(2022, 5, 6, tzinfo=UTC),
                study_id=STUDY_ID,
                study_date=STUDY_DATE,
                study_description=STUDY_DESCRIPTION,
                license_name=holding.collection.license_name or "",
                license_uri=holding.collection.license_uri or "",
                image_count=len(images[name]),
                file_size_bytes=sum(map(len, images[name].values())),
            )
        )
        body = BytesIO()
        with zipfile.ZipFile(body, "w") as packed:
            for number, image in enumerate(images[name].values(), start=1):
                packed.writestr(f"1-{number}.dcm", image)
        archive.answers[name] = [MemoryBody(pieces=[body.getvalue()])]


KINDS = (*GENERATIONS, "v4 of early 2025", "memory", "objects")
MODES = tuple(Md5Mode)
