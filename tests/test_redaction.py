"""No secret of the process remains in a text, in whatever encoding an archive echoes it."""

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest

from downloader.archive.nbia.error_replies import quote_text
from downloader.errors import ArchiveFaultError
from downloader.redaction import Redactor, register_secrets

PASSWORD = "p&w +%41/ö\"'<x>=\\§"
ACCOUNT = f"someone:{PASSWORD}"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzb21lb25lIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"

ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent": quote,
    "percent, slashes too": lambda secret: quote(secret, safe=""),
    "percent, lower hex": lambda secret: quote(secret, safe="").replace("%2F", "%2f").replace("%C3%B6", "%c3%b6"),
    "form": quote_plus,
    "percent twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "percent of Latin-1": lambda secret: quote(secret.encode("latin-1")),
    "JSON": lambda secret: json.dumps({"password": secret}),
    "JSON, not ASCII": lambda secret: json.dumps({"password": secret}, ensure_ascii=False),
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret)),
    "JSON, slashes too": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "HTML": html.escape,
    "HTML by number": lambda secret: "".join(f"&#{ord(sign)};" if not sign.isalnum() else sign for sign in secret),
    "HTML by hexadecimal number": lambda secret: "".join(f"&#x{ord(s):02X};" if not s.isalnum() else s for s in secret),
    "HTML of a form": lambda secret: html.escape(quote_plus(secret)),
    "form of JSON": lambda secret: quote_plus(json.dumps(secret)),
    "Latin-1 taken for UTF-8": lambda secret: secret.encode("latin-1").decode("utf-8", "replace"),
    "UTF-8 taken for Latin-1": lambda secret: secret.encode().decode("latin-1"),
    "Python": repr,
}


def contains(text: str, secret: str, length: int = 6) -> bool:
    """Whether the text has a piece of the secret of that length."""
    return any(secret[start : start + length] in text for start in range(len(secret) - length + 1))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_masked_in_every_encoding(encoding: str) -> None:
    """Only the mask remains; the words around it stay."""
    redactor = Redactor()
    redactor.register(PASSWORD)
    masked = redactor.redact(f"we got: {ENCODINGS[encoding](PASSWORD)} and more")
    rest = masked.removeprefix("we got: ").removesuffix(" and more")
    assert rest in {"***", '{"password": "***"}', '"***"', "'***'", '"\\"***\\""', "%22***%22"}


@pytest.mark.parametrize("before", ["", "u:", "someone:", "x"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_masked_within_base64(before: str, encode: Callable[[bytes], bytes]) -> None:
    """At any offset of the encoded text, as in `Basic` with any user."""
    redactor = Redactor()
    redactor.register(PASSWORD)
    encoded = encode(f"{before}{PASSWORD}:more".encode()).decode()
    for shown in (encoded, quote(encoded, safe=""), encoded.rstrip("=")):
        masked = redactor.redact(f"Basic {shown}")
        assert masked.startswith("Basic ")
        assert masked.endswith("***")
        assert not contains(masked, encoded[len(before) + 6 :])


def test_an_account_is_masked_as_a_whole_in_base64() -> None:
    """The name with the password, joined as in RFC 7617."""
    redactor = Redactor()
    redactor.register(ACCOUNT)
    assert redactor.redact(f"Basic {base64.b64encode(ACCOUNT.encode()).decode()}") == "Basic ***"


@pytest.mark.parametrize("piece", [TOKEN[:40], TOKEN[20:50], TOKEN[-16:], f"{TOKEN[:12]}...{TOKEN[-12:]}"])
def test_pieces_of_a_token_are_masked(piece: str) -> None:
    """Gateways quote tokens in part."""
    redactor = Redactor()
    redactor.register_tokens(TOKEN)
    masked = redactor.redact(f"the token {piece} has ended")
    assert not contains(masked, TOKEN)
    assert masked.startswith("the token ***")
    assert masked.endswith(" has ended")


@pytest.mark.parametrize("length", range(4, 12))
def test_a_secret_that_is_cut_by_the_end_of_a_quote_is_masked(length: int) -> None:
    """Only the beginning of a reply is read: its last bytes may be the beginning of a secret."""
    redactor = Redactor()
    redactor.register("hunter22hunter")
    assert redactor.redact_quote(f"password={'hunter22hunter'[:length]}") == "password=***"


def test_short_secrets_do_not_blank_messages() -> None:
    """They are masked only as whole values."""
    redactor = Redactor()
    redactor.register("a", "to")
    sentence = "a parameter is to be given: at=1, path=/tmp, total:a1"
    assert redactor.redact(sentence) == sentence
    assert redactor.redact("user=u&password=to&x=1") == "user=u&password=***&x=1"
    assert redactor.redact('{"password": "a"}') == '{"password": "***"}'
    assert redactor.redact("password%3Da%26") == "password%3D***%26"


def test_names_are_masked_in_quotes_only_and_as_whole_words() -> None:
    """A name may be a word in our own messages."""
    redactor = Redactor()
    redactor.register_name("nbia")
    assert redactor.redact_quote("user nbia is locked, see nbiaadmin") == "user *** is locked, see nbiaadmin"
    assert redactor.redact("nbia-api is out") == "nbia-api is out"


def test_old_tokens_are_forgotten() -> None:
    """A service renews tokens for years."""
    redactor = Redactor()
    tokens = [f"token-number-{number:04d}" for number in range(1000)]
    for token in tokens:
        redactor.register_tokens(token)
    assert redactor.redact(tokens[-1]) == "***"
    assert redactor.redact(tokens[0]) == tokens[0]


def test_a_few_tokens_of_each_issuer_are_remembered() -> None:
    """Each new token needs a new pattern of all of them, which must stay small; accounts do not displace each other's tokens."""
    redactor = Redactor()
    redactor.register_tokens("token-of-somebody-else", issuer="other")
    tokens = [f"token-number-{number:04d}" for number in range(100)]
    for token in tokens:
        redactor.register_tokens(token, issuer="mine")
    assert redactor.redact("token-of-somebody-else") == "***"
    assert [token for token in tokens if redactor.redact(token) == "***"] == tokens[-8:]


def test_without_secrets_every_text_stays_as_it_is() -> None:
    """Without credentials nothing is masked."""
    assert Redactor().redact_quote("password=hunter22") == "password=hunter22"


def test_quotes_and_errors_hold_no_secret() -> None:
    """Both ways by which foreign texts get into what is stored."""
    register_secrets(PASSWORD)
    form = urlencode({"grant_type": "password", "password": PASSWORD, "client_id": "nbia"})
    assert quote_text(form) == '"grant_type=password&password=***&client_id=nbia"'
    assert quote_text(f"<html><body>bad request:<br> {html.escape(PASSWORD)}</body></html>") == '"bad request: ***"'
    assert str(ArchiveFaultError(form, next_step=form)).count("***") == 2


def test_a_secret_at_the_cut_of_a_quote_is_masked_first() -> None:
    """Half a secret is no longer recognised, so masking comes before truncation."""
    register_secrets("hunter22hunter")
    for length in range(180, 204):
        assert "hunt" not in quote_text("x" * length + " hunter22hunter")


@pytest.mark.parametrize("encode", [str, quote, quote_plus, json.dumps, html.escape])
def test_a_whole_request_in_base64_is_masked(encode: Callable[[str], str]) -> None:
    """The secret is escaped, then encoded with the text around it; and encoded once more."""
    redactor = Redactor()
    redactor.register(PASSWORD)
    once = base64.b64encode(f"POST /token\n\ngrant_type=password&password={encode(PASSWORD)}&x=1".encode()).decode()
    assert redactor.redact_quote(f"echo {once} end") == "echo *** end"
    assert redactor.redact_quote(f"echo {base64.urlsafe_b64encode(once.encode()).decode()} end") == "echo *** end"
    harmless = base64.b64encode(b"nothing of this is a secret at all").decode()
    assert redactor.redact_quote(f"echo {harmless} end") == f"echo {harmless} end"
