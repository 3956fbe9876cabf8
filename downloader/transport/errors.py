"""Translates errors of aiohttp, TLS and sockets into ours, and masks addresses for messages."""

import errno
import ssl
from typing import Final

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from downloader.errors import (
    ArchiveFaultError,
    ArchiveUnreachableError,
    CutTransferError,
    LibraryError,
    StalledTransferError,
    TciadError,
    UnexpectedReplyError,
)
from downloader.redaction import redact
from downloader.transport.private_addresses import PrivateAddressError

PRIVATE_ADVICE: Final = "set base_url to that address, if it is the archive's"

FOREIGN_ERRORS: Final = (aiohttp.ClientError, HttpProcessingError, OSError, UnicodeError)
"""What aiohttp, TLS and the sockets below it raise; `translate` knows all of them. A bad host name is a UnicodeError."""


def mask(url: URL) -> str:
    """The URL for a message, without user and password and without the values of parameters that name a secret.

    A redirect may contain a secret of this process under any name: those are masked too.
    """
    secret_names = {name for name in url.query if any(word in name.lower() for word in ("key", "token", "pass", "secret"))}
    shown = url.with_user(None) if url.host else url
    return redact(str(shown.update_query(dict.fromkeys(secret_names, "***")) if secret_names else shown))


_UNREACHABLE: Final[tuple[tuple[type[Exception], str, str | None], ...]] = (
    (aiohttp.ClientConnectorDNSError, "the host name cannot be resolved", "check base_url and the network"),
    (
        aiohttp.ClientConnectorCertificateError,
        "the certificate of the host is not trusted",
        "if your network inspects TLS, set SSL_CERT_FILE to its certificate authority",
    ),
    (ssl.SSLError, "the TLS connection to the host failed", "check base_url and the network"),
    (aiohttp.ServerFingerprintMismatch, "the certificate of the host is not the one expected", None),
    (aiohttp.ClientProxyConnectionError, "the proxy cannot be reached", "check HTTP_PROXY and HTTPS_PROXY"),
    (aiohttp.ClientHttpProxyError, "the proxy refused the connection", "check HTTP_PROXY and HTTPS_PROXY"),
    (aiohttp.ConnectionTimeoutError, "connecting timed out", "check base_url and the network"),
    (TimeoutError, "the response timed out", None),
    (aiohttp.ServerDisconnectedError, "the connection ended before the response", None),
    (ConnectionResetError, "the connection was reset before the response", None),
    (aiohttp.ClientConnectorError, "no connection to the host", "check base_url and the network"),
    (aiohttp.ClientPayloadError, "the connection ended before the response", None),
    (aiohttp.ClientConnectionError, "the connection failed before the response", None),
    (OSError, "the connection failed before the response", None),
)
"""What went wrong before status and headers came, the most special class first: class, sentence, what to do."""


def translate(error: Exception, url: str, *, body_began: bool) -> TciadError:
    """Our error for one of FOREIGN_ERRORS; the only place that knows both families. Raise it `from` the foreign one.

    Args:
        error: what aiohttp or the socket raised.
        url: where it happened, masked.
        body_began: whether status and headers had come.
    """
    if body_began:
        if isinstance(error, TimeoutError):
            return StalledTransferError(f"{url} stopped sending data")
        return CutTransferError(f"{url}: the connection ended before the body did")
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        # not an error of the archive: it must not use up attempts of a series
        return LibraryError(
            f"no connection can be opened: {error.strerror}", next_step="raise the limit of open files (ulimit -n)"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError) and isinstance(error.__cause__, PrivateAddressError):
        return UnexpectedReplyError(f"the archive redirects to a private address, {url}", next_step=PRIVATE_ADVICE)
    for family, sentence, next_step in _UNREACHABLE:
        if isinstance(error, family):
            return ArchiveUnreachableError(f"{url}: {sentence}{_reason(error)}", next_step=next_step)
    if type(error) is aiohttp.ClientResponseError or isinstance(error, HttpProcessingError):
        # one byte changed on its way is enough for this, so it is not final
        return ArchiveFaultError(f"{url}: the response is not valid HTTP", next_step="check base_url if this persists")
    return UnexpectedReplyError(f"{url}: the address is not valid ({type(error).__name__})", next_step="check base_url")


def _reason(error: Exception) -> str:
    """The message of the system in brackets; that of aiohttp's own errors is for programmers and stays in `__cause__`."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f" ({error.status})"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f" ({getattr(error.certificate_error, 'verify_message', 'unknown reason')})"
    strerror = error.strerror if isinstance(error, OSError) else None
    return f" ({strerror})" if strerror else ""
