"""What a generation of the API is made of: a table of endpoints and a few habits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from downloader.sandbox.answers import Answer, Parameters, Refusal
from downloader.sandbox.queries import View

QUERY_TYPES: Final = ("application/xml", "application/json", "text/html", "text/csv")
ZIP_TYPES: Final = ("application/octet-stream",)
IMAGE_TYPES: Final = ("application/dicom",)
TEXT_TYPES: Final = ("text/plain",)
# Both are mapped in the archive's own deployments (docs/archives.md#api-history).
ROOTS: Final = ("/nbia-api/services/", "/nbia-api/")


class Security(Enum):
    """What a request must show (docs/archives.md#authentication)."""

    OPEN = auto()
    KEY = auto()
    GOOD_TOKEN = auto()
    GOOD_TOKEN_OR_NONE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint: the parameters it knows besides `format`, those it needs, and the types it declares.

    Source: docs/archives.md#reply-formats.
    """

    name: str
    answer: Callable[[View, Parameters], Answer]
    parameters: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    method: str = "GET"
    produces: tuple[str, ...] = QUERY_TYPES
    has_format: bool = True

    @property
    def known(self) -> tuple[str, ...]:
        """Every parameter that this endpoint takes."""
        return (*self.parameters, "format") if self.has_format else self.parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generation: `prefix` stands between one of the `roots` and the endpoint.

    `strict` refuses parameters that an endpoint does not know; `folds_case` compares all attributes without case; `refusal` is
    the sentence for a series that is not to be had, with `{}` for its UID (docs/archives.md#error-replies, #parameters,
    #failed-downloads).
    """

    name: str
    prefix: str
    endpoints: tuple[Endpoint, ...]
    strict: bool
    folds_case: bool
    refusal: str
    roots: tuple[str, ...] = ROOTS
    security: Security = Security.OPEN

    def check(self, endpoint: Endpoint, parameters: Parameters) -> Refusal | None:
        """Why the parameters will not do; None when they will."""
        kind = "form" if endpoint.method == "POST" else "query"
        strange = [name for name in parameters if name not in endpoint.known]
        if self.strict and strange:
            allowed = ", ".join(endpoint.known)
            return Refusal(f"Invalid {kind} parameter: '{strange[0]}'. Allowed parameters are: [{allowed}]")
        missing = [name for name in endpoint.required if name not in parameters]
        if missing:
            return Refusal(f"A parameter, {missing[0]}, is required for this API call.")
        return None

    @property
    def by_name(self) -> Mapping[str, Endpoint]:
        """The endpoints by their names."""
        return {endpoint.name: endpoint for endpoint in self.endpoints}
