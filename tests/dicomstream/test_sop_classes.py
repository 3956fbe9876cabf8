"""Names of SOP classes, against pydicom's dictionary of PS3.6."""

from pydicom._uid_dict import UID_dictionary

from downloader.dicomstream import sop_class_name


def test_every_storage_class_has_the_name_that_dicom_gives_it() -> None:
    storage = {
        uid: name
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and uid.startswith("1.2.840.10008.5.1.4.1.1.")
    }
    assert len(storage) > 150
    assert {uid: sop_class_name(uid) for uid in storage} == storage


def test_a_private_class_has_no_name() -> None:
    assert sop_class_name("1.3.12.2.1107.5.9.1") == ""
    assert sop_class_name("") == ""
