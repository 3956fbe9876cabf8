"""SOP classes whose instances always have pixel data: an instance without is truncated. Source: DICOM PS3.4 table B.5-1."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_IMAGE_CLASSES = frozenset(
    _STORAGE + suffix
    for suffix in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"),  # CR, DX, mammography, intra-oral
        *("2", "2.1", "2.2"),  # CT
        *("3.1", "6.1", "6.2"),  # ultrasound
        *("4", "4.1", "4.3", "4.4"),  # MR
        *("7", "7.1", "7.2", "7.3", "7.4"),  # secondary capture
        *("12.1", "12.1.1", "12.2", "12.2.1"),  # angiography, fluoroscopy
        *("13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5"),  # X-ray 3D, breast tomosynthesis
        "20",  # nuclear medicine
        "66.4",  # segmentation
        *("77.1.1", "77.1.2", "77.1.3", "77.1.4", "77.1.6"),  # visible light, whole slide
        *("128", "128.1", "130"),  # PET
        "481.1",  # radiotherapy image
    )
)


def holds_pixels(sop_class_uid: str) -> bool:
    """Whether every instance of the class has pixel data, or a reference to it."""
    return sop_class_uid in _IMAGE_CLASSES
