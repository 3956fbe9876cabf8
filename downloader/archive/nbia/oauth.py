"""Bearer tokens by OAuth2: the archive's own form, and Keycloak's (docs/archives.md#tokens). Source: RFC 6749 §4.3, §6."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import anyio

from downloader.archive.nbia.error_replies import READ_BYTES, Refusal, classify, quote_text
from downloader.clock import Clock
from downloader.errors import ArchiveFaultError, CredentialsRejectedError, UnexpectedReplyError
from downloader.redaction import register_name, register_secrets, register_tokens
from downloader.transport.client import Transport

_KEYCLOAK: Final = "/protocol/openid-connect/token"
# a token is renewed when a tenth of its life is left, but at most this long before its end
_MOST_SECONDS_AHEAD: Final = 60.0
_TOKEN_BYTES: Final = 64 * 1024
_LONGEST_LIFE_SECONDS: Final = 1e9
_NO_JSON: Final = (ValueError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account that signs in. The archive's own form needs no client secret since 2023, and adds the guest's password."""

    username: str = field(repr=False)
    password: str = field(repr=False, default="")
    client_id: str = "nbia"
    client_secret: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    """An issued token. Times are on the monotonic clock; None if the archive gives no lifetime."""

    bearer: str = field(repr=False)
    refresh: str = field(repr=False)
    renew_at: float | None
    refresh_until: float | None

    @property
    def headers(self) -> Mapping[str, str]:
        return MappingProxyType({"Authorization": f"Bearer {self.bearer}"})


class BearerTokens:
    """Signs in at one host, and renews the token. Implements `Authentication`.

    Many workers share it: the first that finds the token expired or refused renews it, and the others wait for that request.

    Args:
        token_url: the token endpoint.
        account: the account.
        transport: sends the requests.
        clock: for the lifetime of tokens.
    """

    parameters: Mapping[str, str] = MappingProxyType({})
    can_renew = True

    def __init__(self, token_url: str, account: Account, *, transport: Transport, clock: Clock) -> None:
        register_secrets(account.password, account.client_secret, *_pairs(account))
        register_name(account.username)
        self._token_url = token_url
        self._account = account
        self._transport = transport
        self._clock = clock
        self._token: _Token | None = None
        self._renewing = anyio.Lock()
        # the archive's refusal of the password: further requests may lock the account
        self._rejection = ""

    @property
    def advice(self) -> str:
        """The next step: a password is missing or wrong."""
        if self._account.password:
            return "check user name and password"
        return "no password was given: set its file in archive.auth.password_file, or set TCIAD_PASSWORD_FILE"

    async def headers(self) -> Mapping[str, str]:
        """The token, renewed before it expires.

        Raises:
            CredentialsRejectedError: the account gets no token.
            ArchiveError: the token endpoint does not reply as expected.
        """
        token = self._token
        if token is None or self._is_old(token):
            async with self._renewing:
                token = self._token
                if token is None or self._is_old(token):
                    token = await self._renew(token)
        return token.headers

    async def renew(self, refused: Mapping[str, str]) -> None:
        """Get another token after the archive refused this one, unless another worker has already done so."""
        async with self._renewing:
            if self._token is not None and self._token.headers == refused:
                await self._renew(self._token)

    def _is_old(self, token: _Token) -> bool:
        return token.renew_at is not None and self._clock.monotonic() >= token.renew_at

    async def _renew(self, old: _Token | None) -> _Token:
        """Get a token by the refresh grant if possible, otherwise by the password."""
        self._token = None
        token = await self._refresh(old) if old else None
        self._token = token or await self._sign_in()
        return self._token

    async def _refresh(self, old: _Token) -> _Token | None:
        """None if the archive no longer refreshes this token: it forgets them at a restart.

        Source: docs/archives.md#tokens.
        """
        if not old.refresh or (old.refresh_until is not None and self._clock.monotonic() >= old.refresh_until):
            return None
        answer = await self._ask({"grant_type": "refresh_token", "refresh_token": old.refresh})
        # whatever the reason is, the password may still work
        return None if isinstance(answer, Refusal) else answer

    async def _sign_in(self) -> _Token:
        account, next_step = self._account, self.advice
        if self._rejection:
            raise CredentialsRejectedError(self._rejection, next_step=next_step)
        answer = await self._ask({"grant_type": "password", "username": account.username, "password": account.password})
        if not isinstance(answer, Refusal):
            return answer
        if answer.status in {400, 401, 403}:
            self._rejection = f"{answer.url} issued no token for this account: {_reason(answer.text)}"
            raise CredentialsRejectedError(self._rejection, next_step=next_step)
        error = classify(answer, self._clock.now())
        if answer.status in {404, 405}:
            error.next_step = "check auth.token_url"
        raise error

    async def _ask(self, grant: Mapping[str, str]) -> _Token | Refusal:
        form = {**grant, "client_id": self._account.client_id}
        if self._account.client_secret:
            form["client_secret"] = self._account.client_secret
        if self._token_url.endswith(_KEYCLOAK):
            # the archive's own form adds it, and one older than Keycloak has no scope of that name
            form["scope"] = "openid"
        asked_at = self._clock.monotonic()
        async with self._transport.post_form(self._token_url, form=form) as reply:
            text = await reply.text(_TOKEN_BYTES)
            if reply.status != 200:
                return Refusal(url=reply.url, status=reply.status, headers=reply.headers, text=text[:READ_BYTES])
            return _read_token(
                text, reply.url, asked_at, issuer=f"{self._token_url} {self._account.client_id} {self._account.username}"
            )


def _pairs(account: Account) -> Iterator[str]:
    """The forms of an account in HTTP Basic (RFC 7617 §2)."""
    if account.password:
        yield f"{account.username}:{account.password}"
    if account.client_secret:
        yield f"{account.client_id}:{account.client_secret}"


def _read_token(text: str, url: str, asked_at: float, *, issuer: str) -> _Token:
    """The token in the reply; `text` is never quoted, because it may contain a token."""
    try:
        answer = json.loads(text)
    except _NO_JSON as error:
        raise ArchiveFaultError(f"{url}: the reply is not JSON, expected a token", next_step="check auth.token_url") from error
    bearer = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(bearer, str) or not bearer or not bearer.isprintable():
        raise UnexpectedReplyError(f"{url}: the reply contains no token", next_step="check auth.token_url")
    refresh = answer.get("refresh_token")
    register_tokens(bearer, refresh if isinstance(refresh, str) else "", issuer=issuer)
    lasts, refresh_lasts = _seconds(answer.get("expires_in")), _seconds(answer.get("refresh_expires_in"))
    return _Token(
        bearer=bearer,
        refresh=refresh if isinstance(refresh, str) else "",
        renew_at=None if lasts is None else asked_at + lasts - min(lasts / 10, _MOST_SECONDS_AHEAD),
        refresh_until=None if refresh_lasts is None else asked_at + refresh_lasts,
    )


def _seconds(value: object) -> float | None:
    """A lifetime; Keycloak writes 0 for refresh tokens that never expire."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_LIFE_SECONDS:
        return None
    return float(value)


def _reason(text: str) -> str:
    try:
        answer = json.loads(text)
    except _NO_JSON:
        return quote_text(text)
    told = answer.get("error_description") or answer.get("error") if isinstance(answer, dict) else None
    return quote_text(told if isinstance(told, str) else "")
