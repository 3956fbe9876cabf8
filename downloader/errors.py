"""Every error that tciad raises, as one tree.

TciadError                      exit 1
├── PartDiedError                        a part of the service ended before it
├── UsageError                  exit 2   bad manifest, argument or configuration
│   ├── ManifestError
│   ├── SettingsError
│   └── OrderError                       the service knows no such manifest or series
├── ArchiveError                         what the archive answered, or did not
│   ├── ArchiveUnreachableError retry    no connection: name, route, TLS, refused, timed out; exit 4
│   ├── ArchiveBusyError        retry    429, 503: slow down
│   ├── ArchiveFaultError       retry    500, 502, 504, replies that contradict themselves
│   ├── UnexpectedReplyError    briefly  not the NBIA API
│   ├── CredentialsRejectedError stop    exit 4
│   ├── AccessDeniedError       briefly  this series is not for us, or not there
│   └── SeriesWithdrawnError    briefly  the catalogue no longer lists it
├── TransferError               retry    a body that is not what it should be
│   ├── CutTransferError                 the connection ended before the body did
│   ├── StalledTransferError             no bytes, or too few, for too long
│   ├── TruncatedZipError                the ZIP ends before its directory does
│   ├── CorruptZipError                  not a ZIP, or one that contradicts itself
│   ├── DigestMismatchError              an image is not what its MD5 says
│   ├── IncompleteSeriesError            fewer or other images than the catalogue lists
│   ├── NotDicomError                    a member that should be an image is none
│   ├── WrongSeriesError                 an image of another series, or twice the same
│   ├── UnsafeMemberError       briefly  a name or size that no honest archive sends
│   └── AttemptsExhaustedError  give up  the process died in every attempt at it
├── LibraryError                exit 5   the library cannot be written
│   ├── NoSpaceError                     not enough room
│   ├── WrongLibraryError                it is not the library of the state store, or its series are gone
│   ├── OccupiedFolderError     give up  something else lies in the place of a series
│   └── DamagedReceiptError              the receipt of a series cannot be believed
└── StoreError                  exit 6   the state store cannot be used
    ├── StoreLockedError                 another run holds it
    ├── DamagedStoreError                it cannot be read; receipts can rebuild it
    └── LeaseLostError          drop     another worker has this series now

What to do about an error is a class attribute, so that one place can act on all of them: `verdict` says what becomes of the
series, `exit_code` what becomes of the process when the error ends it. No answer of an archive ends a series at once: a proxy, a
redeploy or a mended list can make any of them a passing one, so the verdict `briefly` gives it two more attempts.
"""

import errno
from enum import Enum, IntEnum
from typing import ClassVar, Final, Self

from downloader.redaction import redact


class ExitCode(IntEnum):
    """How a process of tciad ends. The `__doc__` of each code is its row in docs/commands.md."""

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
    """What becomes of the series whose attempt raised the error."""

    RETRY = "retry"
    RETRY_BRIEFLY = "retry briefly"
    GIVE_UP = "give up"
    STOP = "stop"
    DROP = "drop"


class TciadError(Exception):
    """A fault of tciad itself, and the root of the tree.

    Its text is stored, logged and shown: secrets of this process that got into it are masked.

    Args:
        what: one sentence without its full stop: what happened.
        series_instance_uid: the series it happened to, where there is one.
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
    """A part of the service ended, or met a fault of tciad itself, before the service was to end."""


class UsageError(TciadError):
    """The user asked for something that cannot be."""

    exit_code = ExitCode.USAGE


class ManifestError(UsageError):
    """The manifest, or a series list that it names, is wrong. `what` begins with `file:line: path:`."""


class SettingsError(UsageError):
    """A flag, an environment variable or a secret's file is wrong."""


class OrderError(UsageError):
    """The service was asked for, or given an order about, what does not exist."""


class ArchiveError(TciadError):
    """The archive did not give what was asked of it. `status` is that of its HTTP reply, where the reply was refused for it."""

    verdict = Verdict.RETRY_BRIEFLY
    exit_code = ExitCode.INCOMPLETE
    status: int | None = None


class ArchiveUnreachableError(ArchiveError):
    """No connection to the archive: name, route, TLS, refused, or timed out before the first byte."""

    verdict = Verdict.RETRY
    exit_code = ExitCode.ARCHIVE


class ArchiveBusyError(ArchiveError):
    """The archive asks for less.

    Args:
        retry_after_seconds: from Retry-After, where the archive sent one (RFC 9110 §10.2.3).
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
    """How many seconds the archive asked to wait, where it did."""
    return error.retry_after_seconds if isinstance(error, ArchiveBusyError) else None


class ArchiveFaultError(ArchiveError):
    """The archive failed, or contradicted itself; asking again may help."""

    verdict = Verdict.RETRY


class UnexpectedReplyError(ArchiveError):
    """A reply that no NBIA server gives: the wrong address, another program, or a proxy in the way for a while."""


class CredentialsRejectedError(ArchiveError):
    """The archive refused user name, password, token or API key."""

    verdict = Verdict.STOP
    exit_code = ExitCode.ARCHIVE


class AccessDeniedError(ArchiveError):
    """The archive will not give this series: private, unknown to this host, withdrawn, or a fault of its own.

    It says all of these in the same words (docs/archives.md#failed-downloads), so a few more attempts are made before it is
    believed.
    """


REFUSED_DIGEST: Final = (UnexpectedReplyError, CredentialsRejectedError, AccessDeniedError)
"""An archive that answers a question for an MD5 so gives none: it lacks the endpoint, or guards it more than its images."""


class SeriesWithdrawnError(ArchiveError):
    """The catalogue no longer lists the series."""


class TransferError(TciadError):
    """A body arrived, and it is not what it should be."""

    verdict = Verdict.RETRY
    exit_code = ExitCode.INCOMPLETE


class CutTransferError(TransferError):
    """The connection ended before the body did."""


class StalledTransferError(TransferError):
    """The body came too slowly, or stopped coming."""


class TruncatedZipError(TransferError):
    """The ZIP ends before its central directory is whole."""


class CorruptZipError(TransferError):
    """The body is no ZIP, or members and central directory contradict each other."""


BROKEN_LINE: Final = (CutTransferError, StalledTransferError, TruncatedZipError)
"""A transfer that ended too early."""
BROKEN_TRANSFER: Final = (*BROKEN_LINE, CorruptZipError)
"""How a transfer breaks off. The images that it brought before passed its checksums, and may be kept."""


class DigestMismatchError(TransferError):
    """An image is not what the archive's MD5 says it is."""


class IncompleteSeriesError(TransferError):
    """The images that came are not those that the catalogue lists."""


class NotDicomError(TransferError):
    """A member that should be an image is not DICOM."""


class WrongSeriesError(TransferError):
    """An image belongs to another series, or came twice."""


class UnsafeMemberError(TransferError):
    """A member's name or size is one that no honest archive sends."""

    verdict = Verdict.RETRY_BRIEFLY


class AttemptsExhaustedError(TransferError):
    """Every attempt ended with the process, before any of them could say why."""

    verdict = Verdict.GIVE_UP


class LibraryError(TciadError):
    """The library cannot be read or written."""

    exit_code = ExitCode.LIBRARY


class NoSpaceError(LibraryError):
    """Not enough room for what is wanted.

    `received_bytes` came over the line in an attempt that it ended, in vain; `needed_bytes` is how much room the series is known
    to need then, 0 where that is not known.
    """

    received_bytes: int = 0
    needed_bytes: int = 0


class WrongLibraryError(LibraryError):
    """The folder is not the library that the state store belongs to, or what the store counts as complete is not there."""


class OccupiedFolderError(LibraryError):
    """Something else lies where a series belongs, and tciad neither replaces it nor looks into it. Other series can go on."""

    verdict = Verdict.GIVE_UP


NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""How the system numbers the error of a disk, or of a user's share of it, that is full."""


class DamagedReceiptError(LibraryError):
    """The receipt of a series is not one, or says what cannot be true."""


class StoreError(TciadError):
    """The state store cannot be used."""

    exit_code = ExitCode.STORE


class StoreLockedError(StoreError):
    """Another run holds the library."""


class DamagedStoreError(StoreError):
    """The state store is damaged, or is no state store: the library's receipts can rebuild it."""


class LeaseLostError(StoreError):
    """Another worker has this series now: what this one did for it is dropped."""

    verdict = Verdict.DROP
