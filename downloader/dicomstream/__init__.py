"""Sans-I/O scanner of one DICOM file while it passes by: who it is, and whether it ends where its data set does."""

from downloader.dicomstream.scanner import DicomIdentity, DicomScanner

__all__ = ["DicomIdentity", "DicomScanner"]
