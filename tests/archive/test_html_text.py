"""HTML as plain text: words are kept, and nothing that a terminal, a reader of lines or a memory would suffer from."""

import pytest

from downloader.archive.nbia.html_text import MOST_READ_CHARACTERS, MOST_TOLD_CHARACTERS, plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>Scans of <b>lungs</b> &amp; more.</p>\n<p>Two</p>", "Scans of lungs & more.\nTwo"),
        ("one<br>two<br/>three<ul><li>a</li><li>b</li></ul>", "one\ntwo\nthree\na\nb"),
        ("a <script>alert('x')</script><STYLE>p {}</STYLE>b", "a b"),
        ("a<!-- <p>hidden</p> -->b", "a b"),
        ("a <script>never closed", "a"),
        ("a <b never closed", "a"),
        ("p < 0.05 and q > 3", "p < 0.05 and q > 3"),
        ("&lt;b&gt; is shown, &amp;lt; too", "<b> is shown, &lt; too"),
        ("\x1b[2J\u202eevil\x07&#27;[31m&#8238;", "[2J evil [31m"),
        ("Collection: x\nCite as: y", "Collection: x Cite as: y"),
        ("&nbsp;a&nbsp;&nbsp;b", "a b"),
        ("\ud800", ""),
    ],
)
def test_words_are_kept(html: str, text: str) -> None:
    """Blocks become lines; scripts, comments and control characters go."""
    assert plain_text(html) == text


@pytest.mark.parametrize("html", ["<" * 10**6, "<!--" * 10**6, "<p>" * 10**6, "&lt;" * 10**6, "<script>" * 10**6, "<a " * 10**6])
def test_it_ends_soon_however_long_it_is(html: str) -> None:
    """What is read is bounded, and so is the text."""
    assert len(plain_text(html)) <= MOST_TOLD_CHARACTERS + 2
    assert MOST_READ_CHARACTERS < 10**6


def test_a_long_text_is_cut_between_words() -> None:
    """And shows that it was."""
    text = plain_text("word " * 10_000)
    assert len(text) <= MOST_TOLD_CHARACTERS + 2
    assert text.endswith("word …")
