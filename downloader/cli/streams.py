"""stdout and stderr of the command: results that cannot be written are an error, a log that cannot be written is not."""

import codecs
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Final, TextIO

from downloader.errors import NO_SPACE, LibraryError, NoSpaceError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ESCAPES: Final = "tciad-escapes"


class ReaderGone(Exception):  # noqa: N818  # not an error: the reader of stdout needs no more
    """stdout is a pipe whose reader has gone. Not an OSError, because typer ends the process with 1 at an EPIPE."""


def take_streams() -> None:
    """Replace Python's streams, before an opened file can get the descriptor of a closed stream."""
    were_closed = [descriptor for descriptor in (0, 1, 2) if _open_if_closed(descriptor)]
    codecs.register_error(_ESCAPES, _escape)
    results = _Results(1, "wb", closefd=False)
    results.was_closed = 1 in were_closed
    sys.stdout = _wrap(results, sys.stdout, _ESCAPES)
    sys.stderr = _wrap(_Log(2, "wb", closefd=False), sys.stderr, "backslashreplace")


class _Results(io.FileIO):
    """stdout. After an error it discards further output, of which Python would complain again when the process ends.

    `was_closed`: the process was started without stdout, so that the results would be lost.
    """

    was_closed = False
    _is_lost = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write. Raises ReaderGone, NoSpaceError or LibraryError."""
        if self._is_lost:
            return memoryview(data).nbytes
        try:
            return self._pass_on(data)
        except OSError as error:
            self._is_lost = True
            if isinstance(error, BrokenPipeError):
                raise ReaderGone from error
            kind, next_step = (
                (NoSpaceError, "free some space, or send it elsewhere")
                if error.errno in NO_SPACE
                else (LibraryError, "send it elsewhere")
            )
            raise kind(f"stdout cannot be written: {error.strerror}", next_step=next_step) from error

    def _pass_on(self, data: "ReadableBuffer") -> int:
        if self.was_closed:
            raise OSError(errno.EBADF, "it is closed")
        return super().write(data)


class _Log(io.FileIO):
    """stderr. A full disk, or a terminal or a reader that is gone, does not stop the work."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write; output that cannot be written is discarded."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _open_if_closed(descriptor: int) -> bool:
    """Whether the descriptor was closed; if so, it is now open to the null device."""
    try:
        os.fstat(descriptor)
    except OSError:
        # the lowest free descriptor, which is this one
        os.open(os.devnull, os.O_RDWR)
        return True
    return False


def _wrap(raw: io.FileIO, before: TextIO | None, errors: str) -> io.TextIOWrapper:
    encoding = getattr(before, "encoding", None) or "utf-8"
    is_log = raw.fileno() == 2
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, newline="\n", line_buffering=is_log or raw.isatty()
    )


def _escape(error: UnicodeError) -> tuple[str, int]:
    r"""What the encoding cannot hold, as `\uXXXX`: readable in a table, and the same text for a reader of JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end
