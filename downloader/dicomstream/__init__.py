"""Sans-I/O scanner of one DICOM file while it passes: which image it is, and whether it ends where its data set does.

`scanner.py` reads the file meta information and the identity from the first bytes, then walks the data set (`walker.py`) without
keeping it. `lenient.py` asks pydicom about images that the scanner cannot follow. No pixel is decoded.

It does not promise that an image is medically right: only that its elements end where they say, and whose it is.
"""

from downloader.dicomstream.lenient import HEAD_BYTES, read_leniently
from downloader.dicomstream.scanner import DicomIdentity, DicomScanner
from downloader.dicomstream.sop_classes import sop_class_name

__all__ = ["HEAD_BYTES", "DicomIdentity", "DicomScanner", "read_leniently", "sop_class_name"]
