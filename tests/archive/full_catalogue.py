"""Two series of which the archive knows everything that it can know, and one of which it knows next to nothing."""

from datetime import UTC, date, datetime

from downloader.sandbox import Catalogue, SandboxCollection, SandboxPatient, generated_series, study_of

COLLECTION = "Full, with a comma"
PATIENT_ID = "P 1 "
CART = "nbia-49121659384603347"
DOI = "https://doi.org/10.7937/x?a=1&b=2"
KNOWN = generated_series(
    seed=1,
    images=2,
    rows=8,
    columns=8,
    body_part_examined="ABDOMEN_PELVIS ",
    manufacturer='"GE Healthcare", Ünit & Söhne <GmbH>',
    software_versions="1.0|2.0",
    protocol_name="5'3\" ß/é",
    series_description="axial/thin\tµ²",
    series_number=8,
    date_released=date(2022, 6, 7),
    submitted_at=datetime(2022, 5, 6, tzinfo=UTC),
    annotation="<annotation/>",
)
OTHER = generated_series(
    seed=2, images=1, rows=8, columns=8, modality="MR", body_part_examined="HEAD", date_released=date(2019, 1, 2)
)
BARE = generated_series(
    seed=3,
    images=1,
    rows=8,
    columns=8,
    manufacturer=None,
    manufacturer_model_name=None,
    software_versions=None,
    series_number=None,
    series_date=None,
    submitted_at=None,
    date_released=None,
    third_party_analysis=None,
)
FULL = Catalogue(
    collections=(
        SandboxCollection(
            name=COLLECTION,
            site="Site 1",
            data_description_uri=DOI,
            description="<p>Scans of <b>lungs</b> &amp; more.</p>",
            patients=(
                SandboxPatient(
                    patient_id=PATIENT_ID,
                    patient_name="Döe^Jane",
                    patient_birth_date=date(1950, 6, 7),
                    patient_sex="F",
                    ethnic_group="2135-2",
                    studies=(
                        study_of(
                            KNOWN,
                            OTHER,
                            seed=1,
                            study_description='CT, chest "low dose"',
                            admitting_diagnoses_description="C34.1",
                            study_id="42",
                            patient_age="071Y",
                            longitudinal_temporal_event_type="DIAGNOSIS",
                            longitudinal_temporal_offset_from_event="-3.0",
                        ),
                    ),
                ),
            ),
        ),
        SandboxCollection(
            name="Bare",
            license_name=None,
            license_uri=None,
            patients=(SandboxPatient(patient_id="B1", studies=(study_of(BARE, seed=2, study_date=None),)),),
        ),
    ),
    shared_carts={CART: (KNOWN.series_instance_uid,)},
)
STUDY = FULL.collections[0].patients[0].studies[0]
