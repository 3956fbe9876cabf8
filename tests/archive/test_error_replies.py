"""What a status and a few words of the archive mean."""

from datetime import UTC, datetime

import pytest

from downloader.archive.nbia.error_replies import (
    LONGEST_WAIT_SECONDS,
    Refusal,
    classify,
    parse_retry_after,
    quote_text,
    says_not_offered,
)
from downloader.errors import (
    AccessDeniedError,
    ArchiveBusyError,
    ArchiveError,
    ArchiveFaultError,
    ArchiveUnreachableError,
    CredentialsRejectedError,
    UnexpectedReplyError,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SERIES_UID = "1.2.3"
PRIVATE_V1 = f"Image with given SeriesInstanceUID,{SERIES_UID}, is not in public domain."
PRIVATE_V4 = (
    f"The user has not been granted the access to image with given SeriesInstanceUID,{SERIES_UID}. "
    "Please contact System Admin to resolve this issue."
)
STRANGE_PARAMETER = "Invalid query parameter: 'IncludeMD5'. Allowed parameters are: [NewFileNames, SeriesInstanceUID]"


def refusal(status: int, text: str = "", **headers: str) -> Refusal:
    """A reply to a request for one series' images."""
    return Refusal(url="https://host/x", status=status, headers=headers, text=text, series_instance_uid=SERIES_UID)


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, PRIVATE_V1, AccessDeniedError),
        (400, PRIVATE_V4, AccessDeniedError),
        (400, STRANGE_PARAMETER, UnexpectedReplyError),
        (400, "Invalid form parameter: 'x'.", UnexpectedReplyError),
        (400, "A parameter, SeriesInstanceUID, is required for this API call.", UnexpectedReplyError),
        (400, "<html>server_error</html>", UnexpectedReplyError),
        (401, "", CredentialsRejectedError),
        (403, "Access Denied", AccessDeniedError),
        (404, "<html>not found</html>", UnexpectedReplyError),
        (202, "", ArchiveFaultError),
        (206, "", ArchiveFaultError),
        (405, "", UnexpectedReplyError),
        (406, "", UnexpectedReplyError),
        (407, "", ArchiveUnreachableError),
        (408, "", ArchiveFaultError),
        (422, "", UnexpectedReplyError),
        (429, "", ArchiveBusyError),
        (460, "Login needed.", CredentialsRejectedError),
        (461, "", CredentialsRejectedError),
        (462, "Insufficient privilege.", AccessDeniedError),
        (500, "", ArchiveFaultError),
        (502, "<html>Bad Gateway</html>", ArchiveFaultError),
        (503, "", ArchiveBusyError),
        (504, "", ArchiveFaultError),
        (304, "", UnexpectedReplyError),
    ],
)
def test_the_table(status: int, text: str, kind: type[ArchiveError]) -> None:
    """Traps 12, 13 and 28 of docs/faults.md. The error names the series, the status and the address."""
    error = classify(refusal(status, text), NOW)
    assert type(error) is kind
    assert error.series_instance_uid == SERIES_UID
    assert f"https://host/x responded with {status}" in str(error)


@pytest.mark.parametrize("status", [403, 462])
def test_a_refusal_that_concerns_no_series_concerns_who_asks(status: int) -> None:
    """A query that is forbidden says nothing about one series."""
    query = Refusal(url="https://host/x", status=status, headers={}, text="")
    assert type(classify(query, NOW)) is CredentialsRejectedError


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:01:30 -0000", 90.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Mon, 99 Nov 2026 12:01:30 GMT", None),
        ("Mon, 23 Nov 99999999999999999999 12:01:30 GMT", None),
        ("Mon, 23 Nov 2026 12:01:30 +99999999999999999999", None),
        ("999999999", LONGEST_WAIT_SECONDS),
        ("Mon, 23 Nov 9026 12:01:30 GMT", LONGEST_WAIT_SECONDS),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str, seconds: float | None) -> None:
    """Seconds or a date (RFC 9110 §10.2.3); nonsense is ignored, and no wait lasts for years."""
    assert parse_retry_after(header, NOW) == seconds
    error = classify(refusal(503, **{"Retry-After": header}), NOW)
    assert isinstance(error, ArchiveBusyError)
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "", True),
        (405, "", True),
        (400, STRANGE_PARAMETER, True),
        (400, PRIVATE_V4, False),
        (500, STRANGE_PARAMETER, False),
    ],
)
def test_what_a_deployment_does_not_offer(status: int, text: str, expected: bool) -> None:
    """Endpoints and parameters that came later than the deployment."""
    assert says_not_offered(refusal(status, text)) is expected


def test_quotes_are_short_single_lines_without_tags() -> None:
    """Two hundred characters are enough, and markup is not part of what is said."""
    page = "<html>\n<script>var x = 1;</script><h1>Error\t500</h1>\x00\u202e<p>" + "x" * 500
    shown = quote_text(page)
    assert shown.startswith('"Error 500 \\x00\\u202e x')
    assert len(shown) < 230
    assert quote_text("a < b\nand b > c") == '"a < b and b > c"'
    assert quote_text("<html") == '""'


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (
            "<html><head><title>404 Not Found</title></head><body><h1>404 Not\nFound</h1><hr>nginx</body></html>",
            "404 Not Found nginx",
        ),
        ("<!doctype html><TITLE lang=en>HTTP Status 500</TITLE><h1>Internal error</h1>", "HTTP Status 500 Internal error"),
        ("<html><title>Maintenance</title></html>", "Maintenance"),
        ("<html><title>cut", "cut"),
    ],
)
def test_a_page_that_says_its_title_again_is_quoted_once(page: str, words: str) -> None:
    """Error pages do."""
    assert quote_text(page) == f'"{words}"'
