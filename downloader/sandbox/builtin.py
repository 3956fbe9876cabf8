"""The catalogue that `tciad sandbox` serves: small, of several modalities, and full of the values that real archives hold.

Four collections, nine patients, seventeen series. Among the values: trailing blanks, quotes, commas, signs beyond ASCII,
blanks in patient ids, attributes that are absent, a series without instance numbers, one of two acquisitions, one of many
transfer syntaxes.
"""

from datetime import UTC, date, datetime

from downloader.sandbox.builder import generated_series, sample_series, study_of
from downloader.sandbox.catalogue import (
    LISTED_ONLY,
    Catalogue,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
)


def builtin_catalogue() -> Catalogue:
    """The same catalogue each time; images are made when they are asked for."""
    collections = (_lung(), _brain(), _ultrasound(), _therapy())
    catalogue = Catalogue(collections=collections)
    return Catalogue(collections=collections, shared_carts={"nbia-1000": tuple(catalogue.holdings)[:3]})


def _lung() -> SandboxCollection:
    """CT, the plainest case: thick and thin series, two acquisitions, one series that cannot be downloaded."""
    return SandboxCollection(
        name="Sandbox-Lung",
        patients=(_thorax(), _abdomen(), _bare()),
        site="Sandbox",
        data_description_uri="https://sandbox.invalid/lung",
    )


def _thorax() -> SandboxPatient:
    """A thin series and a scout; with all attributes of the patient."""
    thin = generated_series(
        seed=1,
        images=24,
        rows=512,
        columns=512,
        body_part_examined="CHEST",
        manufacturer="SIEMENS",
        manufacturer_model_name="Sensation 64",
        protocol_name="Thorax^Routine",
        series_description="1.5 µm/thin, axial",
        series_number=3,
    )
    scout = generated_series(seed=2, images=2, rows=64, columns=64, body_part_examined="CHEST", series_date=None)
    return SandboxPatient(
        patient_id="SL-0001",
        patient_name="Roe^Jane",
        patient_sex="F",
        ethnic_group="2",
        patient_birth_date=date(1950, 1, 1),
        studies=(study_of(thin, scout, seed=1, study_description="CT Thorax w/o", study_id="1", patient_age="071Y"),),
    )


def _abdomen() -> SandboxPatient:
    """Two acquisitions in one series, and a series that is only listed."""
    phases = generated_series(
        seed=3,
        images=20,
        rows=128,
        columns=128,
        acquisitions=2,
        body_part_examined="ABDOMEN_PELVIS ",
        manufacturer='"GE Healthcare"',
        series_description='arterial, "venous"',
        submitted_at=datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC),
        date_released=date(2024, 3, 1),
    )
    listed = generated_series(seed=4, images=3, rows=64, columns=64, visibility=LISTED_ONLY)
    return SandboxPatient(
        patient_id="SL-0002",
        studies=(study_of(phases, listed, seed=2, study_description="CT Abdomen, 2 phases"),),
    )


def _bare() -> SandboxPatient:
    """A series with few attributes."""
    bare = generated_series(
        seed=5,
        images=4,
        rows=64,
        columns=64,
        manufacturer=None,
        manufacturer_model_name=None,
        software_versions=None,
        series_number=None,
        third_party_analysis=None,
    )
    return SandboxPatient(patient_id="SL-0003", studies=(study_of(bare, seed=3, study_date=None),))


def _brain() -> SandboxCollection:
    """MR, with blanks in patient ids, no instance numbers, and one image in six transfer syntaxes."""
    syntaxes = study_of(_six_transfer_syntaxes(), seed=13, study_id="4MR1")
    return SandboxCollection(
        name="Sandbox Brain",
        patients=(
            SandboxPatient(patient_id="Patient 01", studies=(study_of(_flair(), seed=11), study_of(_unnumbered(), seed=12))),
            SandboxPatient(patient_id="Patient 02", studies=(syntaxes,)),
            SandboxPatient(patient_id="Patient  03 b", studies=(study_of(_early(), seed=14),)),
        ),
        license_name="Creative Commons Attribution 4.0, International",
        license_uri="https://creativecommons.org/licenses/by/4.0/",
    )


def _flair() -> SandboxSeries:
    """With an annotation beside it."""
    return generated_series(
        seed=11,
        images=32,
        modality="MR",
        rows=192,
        columns=192,
        body_part_examined="BRAIN",
        manufacturer="Müller, Söhne & Co",
        series_description="FLAIR",
        annotation="<annotations><note>none</note></annotations>\n",
    )


def _unnumbered() -> SandboxSeries:
    """Images without instance numbers."""
    return generated_series(
        seed=12,
        images=10,
        modality="MR",
        rows=64,
        columns=64,
        numbered=False,
        body_part_examined="BRAIN",
        series_description="T2² trace",
    )


def _six_transfer_syntaxes() -> SandboxSeries:
    """One image, encoded in six ways."""
    return sample_series(
        "MR_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        seed=13,
        modality="MR",
        manufacturer="TOSHIBA_MEC",
        manufacturer_model_name="MRT50H1",
        series_description="one image, six transfer syntaxes",
    )


def _early() -> SandboxSeries:
    """Submitted and released in 2015."""
    return generated_series(
        seed=14,
        images=12,
        modality="MR",
        rows=128,
        columns=128,
        submitted_at=datetime(2015, 1, 2, tzinfo=UTC),
        date_released=date(2015, 2, 3),
    )


def _ultrasound() -> SandboxCollection:
    """Colour, palette and multi-frame samples."""
    colour = sample_series(
        "examples_rgb_color.dcm",
        "examples_palette.dcm",
        seed=21,
        modality="US",
        series_description="colour",
        body_part_examined=None,
    )
    frames = sample_series("examples_ybr_color.dcm", seed=22, modality="US", series_description="30 frames")
    capture = sample_series(
        "SC_rgb_rle.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",
        seed=23,
        modality="OT",
        series_description="secondary captures",
    )
    return SandboxCollection(
        name="SANDBOX_ultrasound",
        patients=(
            SandboxPatient(patient_id="US.1", studies=(study_of(colour, frames, seed=21),)),
            SandboxPatient(patient_id="US.2", phantom="YES", studies=(study_of(capture, seed=23),)),
        ),
    )


def _therapy() -> SandboxCollection:
    """What is no picture: plan, dose, report, waveform."""
    plan = sample_series("rtplan.dcm", seed=31, modality="RTPLAN", series_description="plan")
    dose = sample_series("rtdose_1frame.dcm", seed=32, modality="RTDOSE", series_description="dose")
    report = sample_series("test-SR.dcm", seed=33, modality="SR", series_description="report")
    waveform = sample_series("waveform_ecg.dcm", seed=34, modality="ECG", series_description="12 leads")
    planning = generated_series(seed=35, images=40, rows=256, columns=256, series_description="planning CT")
    return SandboxCollection(
        name="Sandbox-Therapy",
        patients=(
            SandboxPatient(
                patient_id="TH-1",
                studies=(study_of(planning, plan, dose, seed=31), study_of(report, waveform, seed=33)),
            ),
        ),
    )
