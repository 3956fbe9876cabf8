"""Who may ask the sandbox: API keys, accounts, and the office that issues tokens in the manner of either era.

Source: docs/archives.md#authentication.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from itertools import count
from types import MappingProxyType
from typing import Final
from uuid import UUID

from downloader.sandbox.replies import Reply, failure, whole

API_KEY: Final = "sandbox-key"
USERNAME: Final = "sandbox"
PASSWORD: Final = "sandbox-password"  # noqa: S105 - the account of a program that serves samples
GUEST: Final = "nbia_guest"
PROXY_PATH: Final = "/nbia-api/oauth/token"
# both are mapped, as for every endpoint (docs/archives.md#api-history)
PROXY_PATHS: Final = frozenset({PROXY_PATH, "/nbia-api/services/oauth/token"})
KEYCLOAK_PATH: Final = "/auth/realms/TCIA/protocol/openid-connect/token"


class TokenStyle(Enum):
    """Who makes the tokens: Spring until 2023 (opaque), Keycloak since (three parts with dots)."""

    SPRING = "spring"
    KEYCLOAK = "keycloak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the sandbox lets in.

    The guest's password does not matter to the proxy form, as the archive puts in its own. `expires_in_seconds` None leaves the
    figure out of the answer, and the token then lasts as long as the sandbox.
    """

    accounts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({USERNAME: PASSWORD}))
    api_keys: frozenset[str] = frozenset({API_KEY})
    api_key_header: str = "api_key"
    style: TokenStyle = TokenStyle.KEYCLOAK
    expires_in_seconds: int | None = 7200
    refresh_expires_in_seconds: int = 86_400


class TokenOffice:
    """Issues tokens and knows which are good. `grants` names each grant that was asked for, in order."""

    def __init__(self, access: Access, clock: Callable[[], datetime]) -> None:
        self.access = access
        self.grants: list[str] = []
        self._clock = clock
        self._numbers = count(1)
        self._good_until: dict[str, datetime | None] = {}
        self._refreshing: dict[str, datetime] = {}

    def forget(self, *, refresh_tokens: bool = True) -> None:
        """Know no token any more, as after a restart (docs/archives.md#tokens)."""
        self._good_until.clear()
        if refresh_tokens:
            self._refreshing.clear()

    def accepts(self, token: str) -> bool:
        """Whether the token was issued here and is still good."""
        if token not in self._good_until:
            return False
        until = self._good_until[token]
        return until is None or self._clock() < until

    def issue(self, path: str, form: Mapping[str, str]) -> Reply:
        """Answer one request for a token."""
        grant = form.get("grant_type", "")
        self.grants.append(grant)
        keycloak = self.access.style is TokenStyle.KEYCLOAK
        if grant not in {"password", "refresh_token"}:
            # the proxy builds a reply of status 0, or falls over nothing (docs/archives.md#tokens)
            return failure(500) if keycloak else _refuse(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")
        if path == KEYCLOAK_PATH and (form.get("client_id"), form.get("scope")) != ("nbia", "openid"):
            return _refuse(401, "invalid_client", "Invalid client or Invalid client credentials")
        if grant == "password":
            return self._grant() if self._knows(path, form) else self._refuse_credentials("Invalid user credentials")
        until = self._refreshing.pop(form.get("refresh_token", ""), None)
        return self._grant() if until and self._clock() < until else _refuse(400, "invalid_grant", "Invalid refresh token")

    def _knows(self, path: str, form: Mapping[str, str]) -> bool:
        username = form.get("username", "")
        if username == GUEST and path in PROXY_PATHS:
            return True
        return username in self.access.accounts and self.access.accounts[username] == form.get("password")

    def _refuse_credentials(self, sentence: str) -> Reply:
        return _refuse(401 if self.access.style is TokenStyle.KEYCLOAK else 400, "invalid_grant", sentence)

    def _grant(self) -> Reply:
        number = next(self._numbers)
        token, refresh = self._name("access", number), self._name("refresh", number)
        now, lasts = self._clock(), self.access.expires_in_seconds
        self._good_until[token] = None if lasts is None else now + timedelta(seconds=lasts)
        self._refreshing[refresh] = now + timedelta(seconds=self.access.refresh_expires_in_seconds)
        answer: dict[str, str | int] = {"access_token": token, "refresh_token": refresh, "token_type": "bearer"}
        if lasts is not None:
            answer["expires_in"] = lasts
        if self.access.style is TokenStyle.KEYCLOAK:
            answer |= {"token_type": "Bearer", "refresh_expires_in": self.access.refresh_expires_in_seconds, "scope": "openid"}
            answer |= {"id_token": self._name("id", number), "not-before-policy": 0, "session_state": str(UUID(int=number))}
        return whole("application/json", json.dumps(answer))

    def _name(self, kind: str, number: int) -> str:
        if self.access.style is TokenStyle.SPRING:
            return str(UUID(int=number * 2 + (kind == "refresh")))
        parts = ({"alg": "none", "typ": "JWT"}, {"typ": kind, "jti": number}, {"of": "sandbox"})
        return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def _refuse(status: int, error: str, sentence: str) -> Reply:
    return whole("application/json", json.dumps({"error": error, "error_description": sentence}), status)
