"""The beginning of a deflated data set: raw deflate after the file meta information. Source: DICOM PS3.5 §A.5."""

from isal import igzip_lib

from downloader.dicomstream.walker import DataSetWalker
from downloader.errors import NotDicomError

# Maximum to inflate in search of the identifiers, minimum to inflate in any case, and maximum output of one call. Long lists of
# references may precede the identifiers; walking 64 MiB takes 0.1 s.
_INFLATED_BYTES_MAX = 64 * 1024 * 1024
_INFLATED_BYTES_LEAST = 1024 * 1024
_PIECE_BYTES = 64 * 1024

_InflateError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # isal's stub types the class as an instance


class DeflatedHead:
    """Inflates the beginning of a data set for the walker. The rest is not inflated, which protects against decompression bombs.

    Args:
        walker: parses the inflated bytes.
        last_tag: the highest tag that is wanted; after it, inflating stops.
    """

    def __init__(self, walker: DataSetWalker, last_tag: int) -> None:
        self._walker = walker
        self._last_tag = last_tag
        self._inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
        self._inflated_bytes = 0

    def feed(self, data: bytes) -> None:
        """Inflate as much of `data` as is needed. Raises NotDicomError if `data` is not valid deflate."""
        while not self._inflater.eof and self._is_wanted():
            try:
                inflated = self._inflater.decompress(data, _PIECE_BYTES)
            except _InflateError as error:
                raise NotDicomError(f"the deflated data set does not inflate: {error}") from error
            self._walker.feed(inflated)
            self._inflated_bytes += len(inflated)
            if self._inflater.needs_input:
                return
            data = b""

    def _is_wanted(self) -> bool:
        if self._inflated_bytes < _INFLATED_BYTES_LEAST:
            return True
        has_passed = self._walker.last_tag > self._last_tag or self._walker.is_lost
        return not has_passed and self._inflated_bytes < _INFLATED_BYTES_MAX
