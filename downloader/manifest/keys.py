"""What all mappings of a manifest have in common, and the kinds of text that stand in them."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from downloader.config.messages import kind_of
from downloader.manifest.identifiers import UID_PATTERN, check_uid
from downloader.model import LONGEST_UID_CHARACTERS

TEXT_WANTED = "text_wanted"


class Keys(BaseModel):
    """A mapping with known keys: others are refused, and nothing is converted in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def check_text(value: object) -> str:
    """Return text that is not empty, exactly as it was written: catalogues hold blanks at ends.

    Source: docs/archives.md#json-replies.
    """
    if not isinstance(value, str):
        raise PydanticCustomError(TEXT_WANTED, "expected text, not {kind}", {"kind": kind_of(value)})
    if not value.strip():
        raise ValueError("the text is empty")
    return value


def folder_of(info: ValidationInfo) -> Path:
    """The folder of the manifest that is being read."""
    return Path(info.context) if isinstance(info.context, (str, Path)) else Path()


def _file_name(value: object, info: ValidationInfo) -> Path:
    return folder_of(info) / check_text(value)


def _as_tuple(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError("expected one value or a list of values, not a mapping")  # noqa: TRY004 - pydantic takes ValueError only
    if not isinstance(value, list):
        return (value,)
    if not value:
        raise ValueError("the list is empty; leave the key out to allow anything")
    return tuple(value)


class _OneOrListSchema:
    """In the JSON Schema: an item, or a list of items."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many | {"minItems": 1}]}


Item = TypeVar("Item")
OneOrList = Annotated[tuple[Item, ...], BeforeValidator(_as_tuple), _OneOrListSchema()]

Text = Annotated[str, BeforeValidator(check_text), WithJsonSchema({"type": "string", "pattern": r"\S"})]
Uid = Annotated[
    Text,
    AfterValidator(check_uid),
    WithJsonSchema({"type": "string", "pattern": UID_PATTERN, "maxLength": LONGEST_UID_CHARACTERS}),
]
FileName = Annotated[Path, BeforeValidator(_file_name), WithJsonSchema({"type": "string", "pattern": r"\S"})]
