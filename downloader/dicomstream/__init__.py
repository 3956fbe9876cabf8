"""Sans-I/O scanner of one DICOM file while it passes by: who it is, and whether it ends where its data set does."""

from downloader.dicomstream.lenient import HEAD_BYTES, read_leniently
from downloader.dicomstream.scanner import DicomIdentity, DicomScanner
from downloader.dicomstream.sop_classes import sop_class_name

__all__ = ["HEAD_BYTES", "DicomIdentity", "DicomScanner", "read_leniently", "sop_class_name"]
