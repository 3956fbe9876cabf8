"""The meaning of statuses and error sentences of the archive: tables for classifying error replies.

The archive labels its error sentences as JSON, which they are not (docs/archives.md#error-replies), so bodies are matched as
text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from downloader.errors import (
    AccessDeniedError,
    ArchiveBusyError,
    ArchiveError,
    ArchiveFaultError,
    ArchiveUnreachableError,
    CredentialsRejectedError,
    UnexpectedReplyError,
)
from downloader.redaction import redact_quote

QUOTED_CHARACTERS: Final = 200
LONGEST_WAIT_SECONDS: Final = 86_400.0
"""Upper limit of a Retry-After: a longer one is unrealistic, and a run must end at some time."""
READ_BYTES: Final = 4096
"""The number of bytes of an error body to read."""
_WORDS_WITHIN_CHARACTERS: Final = 16_384

_TAGS: Final = re.compile(r"<(?:style|script)\b.*?(?:</(?:style|script)>|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)

_TITLE: Final = re.compile(r"<title\b[^>]*>([^<]*)</title>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error reply: its status, headers, the beginning of its body, and the request.

    `url` is masked; `series_instance_uid` is the requested series, if there is one.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    text: str
    series_instance_uid: str | None = None


_FIND_OUT: Final = (
    "check base_url and api: this address has no such endpoint, and `tciad doctor --archive URL` finds out which API it has; "
    "for a series list use --archive and --api"
)


class _Meaning(Enum):
    """The meaning of an error reply: the error class, and the user's next step."""

    FAULT = (ArchiveFaultError, None)
    BUSY = (ArchiveBusyError, None)
    STRANGE = (UnexpectedReplyError, "check base_url and api")
    NOT_FOUND = (UnexpectedReplyError, _FIND_OUT)
    CREDENTIALS = (CredentialsRejectedError, "check user name, password, token or API key")
    DENIED = (AccessDeniedError, "the series may be private, withdrawn, or on another of the archive's hosts")
    PROXY = (ArchiveUnreachableError, "put user name and password into HTTP_PROXY and HTTPS_PROXY")


_BY_STATUS: Final[Mapping[int, _Meaning]] = {
    # we never request a range or a condition: a proxy's fault
    202: _Meaning.FAULT,
    206: _Meaning.FAULT,
    401: _Meaning.CREDENTIALS,
    403: _Meaning.DENIED,
    404: _Meaning.NOT_FOUND,
    407: _Meaning.PROXY,
    408: _Meaning.FAULT,
    425: _Meaning.FAULT,
    429: _Meaning.BUSY,
    460: _Meaning.CREDENTIALS,
    461: _Meaning.CREDENTIALS,
    462: _Meaning.DENIED,
    503: _Meaning.BUSY,
}
"""Statuses with a specific meaning; 460 to 462 are the download servlet's (docs/archives.md#download-servlet)."""

_BY_WORDS: Final = (
    (re.compile(r"has not been granted the access|is not in public domain", re.IGNORECASE), _Meaning.DENIED),
    (re.compile(r"invalid (?:query|form) parameter|a parameter, .* is required", re.IGNORECASE), _Meaning.STRANGE),
)
"""The sentences of a 400 (docs/archives.md#error-replies, #failed-downloads)."""

_UNKNOWN_PARAMETER: Final = re.compile(r"invalid query parameter", re.IGNORECASE)


def classify(refusal: Refusal, now: datetime) -> ArchiveError:
    """The error for an error reply.

    Args:
        refusal: the reply.
        now: the time, for a Retry-After that is a date.
    """
    error = _explain(refusal, now)
    error.status = refusal.status
    return error


def _explain(refusal: Refusal, now: datetime) -> ArchiveError:
    kind, next_step = _meaning_of(refusal).value
    text = quote_text(refusal.text)
    what = f"{refusal.url} responded with {refusal.status}" + (f": {text}" if text != '""' else "")
    if kind is ArchiveBusyError:
        wait_seconds = parse_retry_after(refusal.headers.get("Retry-After", ""), now)
        return ArchiveBusyError(what, series_instance_uid=refusal.series_instance_uid, retry_after_seconds=wait_seconds)
    error: ArchiveError = kind(what, series_instance_uid=refusal.series_instance_uid, next_step=next_step)
    return error


def _meaning_of(refusal: Refusal) -> _Meaning:
    meaning = _BY_STATUS.get(refusal.status, _Meaning.FAULT if refusal.status >= 500 else _Meaning.STRANGE)
    if refusal.status == 400:
        meaning = next((meaning for words, meaning in _BY_WORDS if words.search(refusal.text)), _Meaning.STRANGE)
    if meaning is _Meaning.DENIED and refusal.series_instance_uid is None:
        # not related to a series: the user may have no access at all
        return _Meaning.CREDENTIALS
    return meaning


def says_not_offered(refusal: Refusal) -> bool:
    """Whether the archive lacks the endpoint, or one of its parameters: an older deployment.

    Source: docs/archives.md#image-endpoints.
    """
    return refusal.status in {404, 405} or (refusal.status == 400 and _UNKNOWN_PARAMETER.search(refusal.text) is not None)


def parse_retry_after(header: str, now: datetime) -> float | None:
    """Seconds to wait, at most a day, from either form of the header; None if it is unreadable.

    Source: RFC 9110 §10.2.3.
    """
    if re.fullmatch(r"[0-9]{1,9}", header.strip(), re.ASCII):
        return min(float(header), LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT_SECONDS)


def _words_of_page(text: str) -> str:
    """The text of a page; with its title only if the text does not repeat it."""
    body, title = _TITLE.sub(" ", text, count=1), _TITLE.search(text)
    words = " ".join(_TAGS.sub(" ", body).split())
    heading = " ".join(_TAGS.sub(" ", title[1]).split()) if title else ""
    return words if heading in words else f"{heading} {words}".strip()


def quote_text(text: str) -> str:
    """The archive's text for a message: in quotes, without tags, on one line, cut after 200 characters.

    Control characters are escaped for terminals. Archives and proxies echo what they receive, so secrets of this process are
    masked, in any encoding.
    """
    text = redact_quote(text[:_WORDS_WITHIN_CHARACTERS])
    # masked again after the tags are removed: they may have separated parts of a secret
    words = redact_quote(_words_of_page(text)) if text.lstrip().startswith("<") else " ".join(text.split())
    return _show(words)


def quote_value(value: object) -> str:
    """A value of a row for a message, as `quote_text` but with all its blanks: a trailing blank may be the problem."""
    return _show(redact_quote(str(value)[:_WORDS_WITHIN_CHARACTERS]))


def _show(words: str) -> str:
    cut = words if len(words) <= QUOTED_CHARACTERS else f"{words[:QUOTED_CHARACTERS]}…"
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in cut)
    return f'"{shown}"'
