"""Texts from outside are shown and never obeyed."""

import json
from dataclasses import replace

import pytest

from downloader.errors import ExitCode
from downloader.model import Failure
from downloader.results.run import empty_report
from downloader.ui.run import render_run
from downloader.ui.texts import json_text, printable


def test_what_the_archive_wrote_is_shown_and_never_obeyed() -> None:
    """Escapes, bells, line breaks and right-to-left marks become visible."""
    assert printable("chest µ ²") == "chest µ ²"
    assert printable("a\x1b[2Jb\x07c\nd\u202ee") == "a\\x1b[2Jb\\x07c\\nd\\u202ee"
    failure = Failure(series_instance_uid="1.2", error="E", message="\x1b]0;owned\x07", attempts=1)
    report = replace(empty_report("m", ExitCode.INCOMPLETE, ""), failures=(failure,))
    assert "]0;owned" in render_run(report)
    assert "\x1b" not in render_run(report)


@pytest.mark.parametrize("text", ["µ ² ä", "\x1b[2J\x9b2J\u202e\x07", "\ud800", "\U000e0001", 'a\n"b"\\\\'])
def test_json_is_shown_and_never_obeyed(text: str) -> None:
    """It says the same, and neither a terminal nor an encoding stumbles over it."""
    document = {"a": [text], text: {}}
    shown = json_text(document)
    assert json.loads(shown) == document
    assert shown.replace("\n", "").isprintable()
    assert ("µ ² ä" in shown) == ("µ" in text)
