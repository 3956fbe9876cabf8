"""Masking of secrets in errors, logs and stored texts.

Archives and proxies echo what they receive: a token endpoint its form, a gateway the API key, in various encodings. Code that
sends a secret registers it here first. Quotes of replies, the text of every error and every log line pass through `redact`, so
that no secret reaches a report, a state store, an API or a log.

Rules:
- A secret of four characters or more is masked everywhere, in every encoding that `_spelling` covers.
- If a secret has 24 characters or more, pieces of twelve characters are masked as well: keys and tokens are also quoted in part.
- A secret of one to three characters is masked only as a whole value (after `=` or `:`). Elsewhere, masking it would garble
unrelated words.
- A user name is masked only in quotes of replies, and only as a whole word.
"""

import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.entities import codepoint2name
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
SHORT_CHARACTERS: Final = 4
"""A secret with fewer characters is masked only as a whole value."""
PIECE_CHARACTERS: Final = 12
LONG_CHARACTERS: Final = 24
"""Of a secret with at least this length, pieces are masked as well."""
_TOKENS_REMEMBERED: Final = 8
"""Per issuer: a pattern of hundreds of long tokens takes seconds to compile, and each new token needs a new pattern."""
_ISSUERS_REMEMBERED: Final = 32
_UNESCAPED: Final = re.compile(r"[A-Za-z0-9]")
_BACKSLASH: Final = r"(?:\\|%(?:25){0,3}5[cC])"
_REST_OF_BASE64: Final = r"(?:[A-Za-z0-9+/_=-]|%3[dD])*"
_BASE64_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_URL_SAFE_TO_STANDARD: Final = str.maketrans("-_", "+/")
_DEEPEST_BASE64: Final = 3
# HTML names of ASCII characters that codepoint2name lacks
_HTML_NAMES: Final = {
    **codepoint2name,
    ord("'"): "apos",
    ord("+"): "plus",
    ord("="): "equals",
    ord("/"): "sol",
    ord(":"): "colon",
    ord("%"): "percnt",
}


@dataclass(frozen=True, slots=False)
class _Secrets:
    """The registered secrets. Immutable: threads that log read an instance while another thread replaces it."""

    lasting: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    issued: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())
    """The newest tokens of each issuer; the issuer with the newest token is last."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens of all issuers."""
        return tuple(token for _, tokens in self.issued for token in tokens)

    @cached_property
    def everywhere(self) -> re.Pattern[str] | None:
        """A pattern of all secrets except names, in every encoding."""
        secrets = self.lasting.union(self.tokens)
        long = [secret for secret in secrets if len(secret) >= SHORT_CHARACTERS]
        parts = [_spelling(form) for form in _longest_first(_raw_forms(long))]
        parts += [f"{_spelling(form)}{_REST_OF_BASE64}" for form in _longest_first(_base64_forms(long))]
        short = [_spelling(secret) for secret in _longest_first(secrets) if len(secret) < SHORT_CHARACTERS]
        if short:
            opens = rf"""(?:(?<=[=:])|(?<=%3[dDaA]))(?P<open>\s*(?:{_BACKSLASH}{{0,4}}["']|&quot;|&\#0{{0,5}}3[49];|%22)?)"""
            parts.append(rf"{opens}(?:{'|'.join(short)})(?![\w/-])")
        return re.compile("|".join(parts)) if parts else None

    @cached_property
    def whole_words(self) -> re.Pattern[str] | None:
        """A pattern of the names."""
        names = [name for name in self.names if len(name) >= SHORT_CHARACTERS]
        parts = [_spelling(name) for name in _longest_first(_raw_forms(names))]
        parts += [f"{_spelling(form)}{_REST_OF_BASE64}" for form in _longest_first(_base64_forms(names))]
        return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(parts)})(?![A-Za-z0-9])") if names else None

    @cached_property
    def pieces(self) -> frozenset[str]:
        """The pieces of all long secrets."""
        secrets = [secret for secret in self.lasting.union(self.tokens) if len(secret) >= LONG_CHARACTERS]
        return frozenset(
            secret[start : start + PIECE_CHARACTERS] for secret in secrets for start in range(len(secret) - PIECE_CHARACTERS + 1)
        )

    @cached_property
    def beginnings(self) -> tuple[str, ...]:
        """Secrets that may be cut off at the end of a partial text."""
        long = [secret for secret in self.lasting.union(self.tokens) if len(secret) >= SHORT_CHARACTERS]
        percent_encoded = {encode(secret) for secret in long for encode in (quote, quote_plus)}
        return tuple({*_raw_forms(long), *_base64_forms(long), *percent_encoded})


_NOTHING: Final = _Secrets()


class Redactor:
    """Registers secrets and masks them. Thread-safe. The functions of this module use one instance for the whole process."""

    def __init__(self) -> None:
        self._secrets = _NOTHING

    def register(self, *secrets: str) -> None:
        """Mask these secrets until the process ends. Empty ones are ignored."""
        new = {secret for secret in secrets if secret}
        if not new <= self._secrets.lasting:
            known = self._secrets
            self._secrets = _Secrets(known.lasting | new, known.names, known.issued)

    def register_name(self, name: str) -> None:
        """Mask a user name in quotes from now on."""
        if name and name not in self._secrets.names:
            known = self._secrets
            self._secrets = _Secrets(known.lasting, known.names | {name}, known.issued)

    def register_tokens(self, *tokens: str, issuer: str = "") -> None:
        """Mask issued tokens; only the newest few of each issuer are remembered.

        Args:
            tokens: the issued tokens; empty ones are ignored.
            issuer: endpoint and account of the tokens, so that tokens of one account do not displace those of another.
        """
        new = [token for token in tokens if token and token not in self._secrets.tokens]
        if new:
            known = self._secrets
            issued = dict(known.issued)
            issued[issuer] = (*issued.pop(issuer, ()), *new)[-_TOKENS_REMEMBERED:]
            self._secrets = _Secrets(known.lasting, known.names, tuple(issued.items())[-_ISSUERS_REMEMBERED:])

    def forget_all(self) -> None:
        """Forget all secrets."""
        self._secrets = _NOTHING

    def redact(self, text: str) -> str:
        """The text with each secret masked."""
        secrets = self._secrets
        if secrets.everywhere is None or not text:
            return text
        masked = secrets.everywhere.sub(lambda found: f"{found.groupdict().get('open') or ''}{MASK}", text)
        return _mask_pieces(masked, secrets.pieces) if secrets.pieces else masked

    def redact_quote(self, text: str) -> str:
        """A quoted text with names masked too, and the beginning of a secret at the end of a truncated text."""
        secrets = self._secrets
        if secrets is _NOTHING:
            return text
        # Base64 runs first: a run that is masked in part could no longer be decoded
        masked = _BASE64_RUN.sub(lambda found: MASK if self._hides_secret(found[0], _DEEPEST_BASE64) else found[0], text)
        return _mask_cut_end(self._redact_words(masked), secrets.beginnings)

    def _redact_words(self, text: str) -> str:
        masked, whole_words = self.redact(text), self._secrets.whole_words
        return masked if whole_words is None else whole_words.sub(MASK, masked)

    def _hides_secret(self, encoded: str, deepest: int) -> bool:
        """Whether a Base64 run contains a secret, also one that is escaped or encoded again, as in echoes of whole requests."""
        standard = encoded.rstrip("=").translate(_URL_SAFE_TO_STANDARD)
        text = b64decode(f"{standard[: len(standard) // 4 * 4]}").decode("utf-8", "replace")
        if self._redact_words(text) != text:
            return True
        return deepest > 1 and any(self._hides_secret(found[0], deepest - 1) for found in _BASE64_RUN.finditer(text))


def _longest_first(forms: Iterable[str]) -> list[str]:
    return sorted(set(forms), key=lambda form: (-len(form), form))


def _raw_forms(secrets: Iterable[str]) -> Iterator[str]:
    """The secret itself, its UTF-8 read as Latin-1, and its Latin-1 read as UTF-8."""
    for secret in secrets:
        yield secret
        if not secret.isascii():
            yield secret.encode("utf-8", "replace").decode("latin-1")
            yield secret.encode("latin-1", "replace").decode("utf-8", "replace")


def _base64_forms(secrets: Iterable[str]) -> Iterator[str]:
    """The Base64 forms of a secret at any offset of a longer text: alone, or in `user:password` of RFC 7617."""
    for secret in secrets:
        content = secret.encode("utf-8", "replace")
        for offset in range(3):
            whole = (offset + len(content)) // 3 * 3
            padded = (b"\0" * offset + content)[:whole]
            start = (offset * 8 + 5) // 6
            for encode in (b64encode, urlsafe_b64encode):
                form = encode(padded).decode()[start:]
                if len(form) >= SHORT_CHARACTERS:
                    yield form


def _spelling(secret: str) -> str:
    """A pattern of the secret in raw, percent-encoded, form-encoded, JSON-escaped and HTML-escaped text, also mixed."""
    return "".join(map(_spelling_of_sign, secret))


def _spelling_of_sign(sign: str) -> str:
    if _UNESCAPED.fullmatch(sign):
        return sign
    if sign.isspace():
        return (
            rf"(?:\s|\+|%(?:25){{0,3}}(?:20|0[9aAdD])|&\#(?:0{{0,5}}32|[xX]0{{0,5}}20);|&nbsp;|{_BACKSLASH}{{1,4}}[nrt]){{1,8}}"
        )
    number = ord(sign)
    spellings = [
        re.escape(sign),
        "".join(rf"%(?:25){{0,3}}{_any_case(f'{byte:02x}')}" for byte in sign.encode("utf-8", "replace")),
        rf"&(?:amp;){{0,2}}\#(?:0{{0,5}}{number}|[xX]0{{0,5}}{_any_case(f'{number:x}')});",
        "".join(rf"{_BACKSLASH}{{1,4}}u{_any_case(unit)}" for unit in _utf16_units(sign)),
    ]
    if number < 0x100:
        spellings += [rf"%(?:25){{0,3}}{_any_case(f'{number:02x}')}", rf"{_BACKSLASH}{{1,4}}x{_any_case(f'{number:02x}')}"]
    if number in _HTML_NAMES:
        spellings.append(rf"&(?:amp;){{0,2}}{_HTML_NAMES[number]};")
    return f"{_BACKSLASH}{{0,4}}(?:{'|'.join(spellings)})"


def _any_case(digits: str) -> str:
    return "".join(digit if digit.isdigit() else f"[{digit}{digit.upper()}]" for digit in digits)


def _utf16_units(sign: str) -> list[str]:
    units = sign.encode("utf-16-be", "surrogatepass")
    return [units[start : start + 2].hex() for start in range(0, len(units), 2)]


def _mask_pieces(text: str, pieces: frozenset[str]) -> str:
    """Mask every run of characters that consists of pieces."""
    kept: list[str] = []
    end = 0  # of what is kept or masked so far
    masked_until = -1
    for start in range(len(text) - PIECE_CHARACTERS + 1):
        if text[start : start + PIECE_CHARACTERS] not in pieces:
            continue
        if start > masked_until:
            kept += [text[end:start], MASK]
        masked_until = end = start + PIECE_CHARACTERS
    return "".join([*kept, text[end:]])


def _mask_cut_end(text: str, forms: Iterable[str]) -> str:
    end = text[-SHORT_CHARACTERS:]
    if len(end) < SHORT_CHARACTERS:
        return text
    for form in forms:
        start = form.find(end)
        while start >= 0:
            beginning = form[: start + SHORT_CHARACTERS]
            if text.endswith(beginning):
                return f"{text.removesuffix(beginning)}{MASK}"
            start = form.find(end, start + 1)
    return text


_OF_THIS_PROCESS: Final = Redactor()
register_secrets: Final = _OF_THIS_PROCESS.register
register_name: Final = _OF_THIS_PROCESS.register_name
register_tokens: Final = _OF_THIS_PROCESS.register_tokens
forget_secrets: Final = _OF_THIS_PROCESS.forget_all
redact: Final = _OF_THIS_PROCESS.redact
redact_quote: Final = _OF_THIS_PROCESS.redact_quote
