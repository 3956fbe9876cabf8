"""Images are real DICOM, the same each time, of the size and hash that the catalogue tells."""

import subprocess
from hashlib import md5
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pydicom
import pytest
from isal import isal_zlib

from downloader.errors import SettingsError
from downloader.sandbox import Catalogue, GeneratedImages, builtin_catalogue, catalogue_of, generated_series
from downloader.sandbox.catalogue import Holding
from downloader.sandbox.images import Images, SandboxImage

# What dciodvfy has against these shipped samples is theirs: they are sent as they are.
UNSOUND_SAMPLES = {"SR", "ECG", "US"}


def _bytes(image: SandboxImage) -> bytes:
    return b"".join(image.chunks())


def _only(catalogue: Catalogue) -> Holding:
    (holding,) = catalogue.holdings.values()
    return holding


@pytest.mark.parametrize("holding", builtin_catalogue().holdings.values(), ids=lambda held: held.series.series_description)
def test_every_image_belongs_to_its_series(holding: Holding) -> None:
    """Each file of the built-in catalogue carries the identifiers of the catalogue, and has the size it tells."""
    images = Images()
    found = images.of(holding)
    assert len(found) == images.count(holding)
    assert sum(image.size_bytes for image in found) == images.size_bytes(holding)
    for image in found:
        data = _bytes(image)
        dataset = pydicom.dcmread(BytesIO(data))
        assert len(data) == image.size_bytes
        assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == image.sop_instance_uid
        assert dataset.SeriesInstanceUID == holding.series.series_instance_uid
        assert dataset.StudyInstanceUID == holding.study.study_instance_uid
        assert dataset.PatientID == holding.patient.patient_id.rstrip()
        assert dataset.get("InstanceNumber") == image.instance_number
        assert images.md5(image) == md5(data, usedforsecurity=False).hexdigest()
    assert len({image.sop_instance_uid for image in found}) == len(found)


def test_the_same_catalogue_makes_the_same_bytes() -> None:
    """Identifiers and pixels follow from the seed alone; another seed makes others."""
    one, again, other = (
        [_bytes(image) for image in Images().of(_only(catalogue_of([generated_series(seed=seed, images=3)])))]
        for seed in (7, 7, 8)
    )
    assert one == again
    assert not set(one) & set(other)


def test_pixels_are_12_bit_noise_that_deflates_to_two_fifths() -> None:
    """As a CT image does, more or less."""
    (image,) = Images().of(_only(catalogue_of([generated_series(seed=1, images=1, rows=512, columns=512)])))
    dataset = pydicom.dcmread(BytesIO(_bytes(image)))
    pixels = memoryview(dataset.PixelData).cast("H")
    assert len(pixels) == 512 * 512
    assert 0 <= min(pixels) < max(pixels) < 4096
    assert 0.35 < len(isal_zlib.compress(dataset.PixelData, 1)) / len(dataset.PixelData) < 0.45


def test_geometry_is_a_stack() -> None:
    """Image after image one slice thickness further, each acquisition from the start; one orientation."""
    series = generated_series(seed=1, images=6, rows=8, columns=8, acquisitions=2, slice_thickness_mm=2.5)
    datasets = [pydicom.dcmread(BytesIO(_bytes(image))) for image in Images().of(_only(catalogue_of([series])))]
    assert [dataset.AcquisitionNumber for dataset in datasets] == [1, 1, 1, 2, 2, 2]
    heights = [dataset.ImagePositionPatient[2] for dataset in datasets]
    assert [later - earlier for earlier, later in pairwise(heights)] == [2.5, 2.5, -5.0, 2.5, 2.5]
    assert len({tuple(dataset.ImageOrientationPatient) for dataset in datasets}) == 1


def test_a_series_of_a_gigabyte_tells_its_size_at_once() -> None:
    """No pixel is made for it."""
    holding = _only(catalogue_of([generated_series(seed=1, images=3, rows=16384, columns=32768)]))
    assert 3 * 2**30 < Images().size_bytes(holding) < 3 * 2**30 + 10_000


@pytest.mark.parametrize(
    "impossible",
    [
        (-1, 1, 1, 1),
        (1, 0, 1, 1),
        (1, 1, 65_536, 1),
        (1, 65_535, 65_535, 1),
        (1, 1, 1, 0),
    ],
)
def test_impossible_images_are_refused(impossible: tuple[int, int, int, int]) -> None:
    """What DICOM has no room for is said where it is asked for."""
    image_count, rows, columns, acquisitions = impossible
    with pytest.raises(SettingsError):
        GeneratedImages(seed=1, image_count=image_count, rows=rows, columns=columns, acquisitions=acquisitions)


def test_only_some_modalities_can_be_generated() -> None:
    """There is a header to start from for CT and MR."""
    with pytest.raises(SettingsError, match="modality PT"):
        generated_series(seed=1, images=1, modality="PT")


@pytest.mark.peer
@pytest.mark.needs("dciodvfy")
def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    """Every kind of generated image, and every sample that is sound as shipped, passes another program's validator."""
    images = Images()
    for holding in builtin_catalogue().holdings.values():
        if holding.series.modality in UNSOUND_SAMPLES:
            continue
        file = tmp_path / f"{holding.series.series_instance_uid}.dcm"
        file.write_bytes(_bytes(images.of(holding)[0]))
        judged = subprocess.run(["dciodvfy", file], capture_output=True, text=True, check=False, errors="replace")
        assert "Error" not in judged.stderr, holding.series.series_description


@pytest.mark.peer
@pytest.mark.needs("dcmdump")
def test_dcmdump_reads_every_kind(tmp_path: Path) -> None:
    """No image ends before its data set does."""
    images = Images()
    for holding in builtin_catalogue().holdings.values():
        for image in images.of(holding)[:6]:
            (tmp_path / f"{image.sop_instance_uid}.dcm").write_bytes(_bytes(image))
    subprocess.run(["dcmdump", "-q", *tmp_path.iterdir()], check=True, capture_output=True)
