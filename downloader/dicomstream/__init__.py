"""Incremental scanner of one DICOM file, without I/O: finds the identifiers, and whether the file ends where its data set does.

`scanner.py` reads the file meta information and the identifiers from the first bytes, then walks the data set (`walker.py`)
without keeping it. `lenient.py` uses pydicom for images that the scanner cannot parse. Pixel data is never decoded.

The scanner checks the structure and the identifiers of an image, not its medical content.
"""

from downloader.dicomstream.lenient import HEAD_BYTES, read_leniently
from downloader.dicomstream.scanner import DicomIdentity, DicomScanner
from downloader.dicomstream.sop_classes import sop_class_name

__all__ = ["HEAD_BYTES", "DicomIdentity", "DicomScanner", "read_leniently", "sop_class_name"]
