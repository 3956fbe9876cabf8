"""All errors that tciad raises, as one tree.

TciadError                      exit 1
    ├── PartDiedError                        a part of the service stopped unexpectedly
    ├── UsageError                  exit 2   bad manifest, argument or configuration
    │   ├── ManifestError
    │   ├── SettingsError
    │   └── OrderError                       the service has no such manifest or series
    ├── ArchiveError                         the archive's response, or none
    │   ├── ArchiveUnreachableError retry    no connection: name, route, TLS, refused, timed out; exit 4
    │   ├── ArchiveBusyError        retry    429, 503: the archive limits the rate
    │   ├── ArchiveFaultError       retry    500, 502, 504, contradictory replies
    │   ├── UnexpectedReplyError    briefly  not a reply of the archive's API
    │   ├── CredentialsRejectedError stop    exit 4
    │   ├── AccessDeniedError       briefly  no access to this series, or it does not exist
    │   └── SeriesWithdrawnError    briefly  the catalogue no longer lists it
    ├── TransferError               retry    the body is wrong
    │   ├── CutTransferError                 the connection ended before the body did
    │   ├── StalledTransferError             no bytes, or too few, for too long
    │   ├── TruncatedZipError                the ZIP ends before its central directory
    │   ├── CorruptZipError                  not a ZIP, or one that contradicts itself
    │   ├── DigestMismatchError              an image does not match its MD5
    │   ├── IncompleteSeriesError            fewer or other images than the catalogue lists
    │   ├── NotDicomError                    an image is not DICOM
    │   ├── WrongSeriesError                 an image of another series, or a duplicate
    │   ├── UnsafeMemberError       briefly  a member's name or size exceeds the limits
    │   └── AttemptsExhaustedError  give up  the process died in every attempt
    ├── LibraryError                exit 5   the library cannot be read or written
    │   ├── NoSpaceError                     not enough free space
    │   ├── WrongLibraryError                not the library of the state store, or its series are missing
    │   ├── OccupiedFolderError     give up  other files are in the folder of a series
    │   └── DamagedReceiptError              a receipt is invalid
    └── StoreError                  exit 6   the state store cannot be used
        ├── StoreLockedError                 another process has the lock
        ├── DamagedStoreError                it cannot be read; receipts can rebuild it
        └── LeaseLostError          drop     another worker has this series now

Class attributes say how an error is handled: `verdict` decides about the series, `exit_code` about the process if the error ends
it. No response of an archive fails a series at once, because a proxy, a deployment or a corrected list can make any response a
transient one: the verdict `briefly` allows two more attempts.
"""

import errno
from enum import Enum, IntEnum
from typing import ClassVar, Final, Self

from downloader.redaction import redact


class ExitCode(IntEnum):
    """The exit codes of tciad. The `__doc__` of each code is its row in docs/commands.md."""

    def __new__(cls, code: int, meaning: str) -> Self:
        """A code with its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.__doc__ = meaning
        return member

    SUCCESS = 0, "every wanted series is complete and proven"
    FAULT = 1, "a fault of tciad itself (a traceback is in the log)"
    USAGE = 2, "manifest, argument or configuration error"
    INCOMPLETE = 3, "finished, but some series failed or could not be proven"
    ARCHIVE = 4, "the archive refused the credentials, or could not be reached at all"
    LIBRARY = 5, "no space, or the library cannot be written"
    STORE = 6, "the state store cannot be used (locked by another run, damaged, newer than this tciad)"
    INTERRUPTED = 130, "interrupted by SIGINT: in-flight work was set back, everything complete is kept"
    BROKEN_PIPE = 141, "the reader of stdout has gone away (`head` after a pipe)"
    TERMINATED = 143, "ended by SIGTERM: in-flight work was set back, everything complete is kept"


class Verdict(Enum):
    """How the scheduler proceeds with the series whose attempt raised the error."""

    RETRY = "retry"
    RETRY_BRIEFLY = "retry briefly"
    GIVE_UP = "give up"
    STOP = "stop"
    DROP = "drop"


class TciadError(Exception):
    """An internal error of tciad, and the base class of all errors.

    Its text is stored, logged and shown; registered secrets in it are masked.

    Args:
        what: what happened, as one sentence without its full stop.
        series_instance_uid: the affected series, if there is one.
        next_step: what the user can do next, as an imperative without its full stop.
    """

    verdict: ClassVar[Verdict] = Verdict.STOP
    exit_code: ClassVar[ExitCode] = ExitCode.FAULT

    def __init__(self, what: str, *, series_instance_uid: str | None = None, next_step: str | None = None) -> None:
        self.what = redact(what)
        super().__init__(self.what)
        self.series_instance_uid = series_instance_uid
        self.next_step = redact(next_step) if next_step else next_step

    def __str__(self) -> str:
        about = f"series {self.series_instance_uid}: " if self.series_instance_uid else ""
        advice = f"; {self.next_step}" if self.next_step else ""
        return f"{about}{self.what}{advice}"


class PartDiedError(TciadError):
    """A part of the service stopped, or raised an internal error, before the service was stopped."""


class UsageError(TciadError):
    """The user's request is invalid."""

    exit_code = ExitCode.USAGE


class ManifestError(UsageError):
    """A manifest, or a series list that it names, is invalid. `what` begins with `file:line: path:`."""


class SettingsError(UsageError):
    """A flag, an environment variable or a secret's file is invalid."""


class OrderError(UsageError):
    """A request to the service names a manifest or series that does not exist."""


class ArchiveError(TciadError):
    """The archive did not send what was requested. `status` is the HTTP status, if the reply was refused because of it."""

    verdict = Verdict.RETRY_BRIEFLY
    exit_code = ExitCode.INCOMPLETE
    status: int | None = None


class ArchiveUnreachableError(ArchiveError):
    """No connection to the archive: name resolution, route, TLS, refused, or timed out before the first byte."""

    verdict = Verdict.RETRY
    exit_code = ExitCode.ARCHIVE


class ArchiveBusyError(ArchiveError):
    """The archive limits the rate of requests.

    Args:
        retry_after_seconds: the Retry-After header, if the archive sent one (RFC 9110 §10.2.3).
    """

    verdict = Verdict.RETRY

    def __init__(
        self,
        what: str,
        *,
        series_instance_uid: str | None = None,
        next_step: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(what, series_instance_uid=series_instance_uid, next_step=next_step)
        self.retry_after_seconds = retry_after_seconds


def retry_after_of(error: TciadError) -> float | None:
    """The archive's Retry-After in seconds, or None."""
    return error.retry_after_seconds if isinstance(error, ArchiveBusyError) else None


class ArchiveFaultError(ArchiveError):
    """The archive failed or contradicted itself; a retry may help."""

    verdict = Verdict.RETRY


class UnexpectedReplyError(ArchiveError):
    """A reply that the archive's API never gives: from a wrong address, another program, or a proxy."""


class CredentialsRejectedError(ArchiveError):
    """The archive refused the user name, password, token or API key."""

    verdict = Verdict.STOP
    exit_code = ExitCode.ARCHIVE


class AccessDeniedError(ArchiveError):
    """The archive does not send this series: it is private, unknown to this host or withdrawn, or the archive has a fault.

    The archive's replies do not distinguish these cases (docs/archives.md#failed-downloads), so a few more attempts follow.
    """


REFUSED_DIGEST: Final = (UnexpectedReplyError, CredentialsRejectedError, AccessDeniedError)
"""Errors of a digest request which mean that the archive has no digests: no such endpoint, or one with stricter access."""


class SeriesWithdrawnError(ArchiveError):
    """The catalogue no longer lists the series."""


class TransferError(TciadError):
    """A body was received, and it is wrong."""

    verdict = Verdict.RETRY
    exit_code = ExitCode.INCOMPLETE


class CutTransferError(TransferError):
    """The connection ended before the body did."""


class StalledTransferError(TransferError):
    """The body arrived too slowly, or stopped."""


class TruncatedZipError(TransferError):
    """The ZIP ends before the end of its central directory."""


class CorruptZipError(TransferError):
    """The body is not a ZIP, or its members and its central directory contradict each other."""


BROKEN_LINE: Final = (CutTransferError, StalledTransferError, TruncatedZipError)
"""Errors of a transfer that ended too early."""
BROKEN_TRANSFER: Final = (*BROKEN_LINE, CorruptZipError)
"""Errors that end a transfer early. The images received before passed its checksums, and may be kept."""


class DigestMismatchError(TransferError):
    """An image does not match the archive's MD5."""


class IncompleteSeriesError(TransferError):
    """The images received are not those that the catalogue lists."""


class NotDicomError(TransferError):
    """A file that should be an image is not DICOM."""


class WrongSeriesError(TransferError):
    """An image belongs to another series, or occurs twice."""


class UnsafeMemberError(TransferError):
    """The name or the size of a member exceeds the limits."""

    verdict = Verdict.RETRY_BRIEFLY


class AttemptsExhaustedError(TransferError):
    """The process died in every attempt, so that none recorded an error."""

    verdict = Verdict.GIVE_UP


class LibraryError(TciadError):
    """The library cannot be read or written."""

    exit_code = ExitCode.LIBRARY


class NoSpaceError(LibraryError):
    """Not enough free space.

    `received_bytes` were received in vain by the attempt that this error ended; `needed_bytes` is the space that the series
    needs, 0 if it is unknown.
    """

    received_bytes: int = 0
    needed_bytes: int = 0


class WrongLibraryError(LibraryError):
    """The folder is not the library of the state store, or complete series of the store are missing in it."""


class OccupiedFolderError(LibraryError):
    """Other files are in the folder of a series; tciad neither replaces nor reads them. Other series are not affected."""

    verdict = Verdict.GIVE_UP


NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The error numbers of a full disk, or of an exhausted quota."""


class DamagedReceiptError(LibraryError):
    """The receipt of a series is invalid or contradicts itself."""


class StoreError(TciadError):
    """The state store cannot be used."""

    exit_code = ExitCode.STORE


class StoreLockedError(StoreError):
    """Another process has the lock of the library."""


class DamagedStoreError(StoreError):
    """The state store is damaged, or is not a state store; `tciad store rebuild` rebuilds it from the receipts."""


class LeaseLostError(StoreError):
    """Another worker has this series now: this worker's result is discarded."""

    verdict = Verdict.DROP
