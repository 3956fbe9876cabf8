"""Messages for invalid input; manifests, flags and the environment share their wording."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from pydantic_core import ErrorDetails

_LONGEST_QUOTE = 80


def suggest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'modality'?)`, or nothing when no known word is near."""
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f" (did you mean {by_folded[near[0]]!r}?)" if near else ""


def quote(text: str) -> str:
    """The text in quotes, cut where it is long, control characters shown as escapes."""
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")


def one_of(known: Sequence[str]) -> str:
    """`a, b or c`."""
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} or {known[-1]}"


def refuse_choice(word: object, known: Sequence[str]) -> str:
    """The message for a word that is not one of the known ones."""
    near = suggest(word, known) if isinstance(word, str) else ""
    shown = quote(word) if isinstance(word, str) else kind_of(word)
    return f"{shown} is not {one_of(known)}{near}"


def kind_of(value: object) -> str:
    """What a value read from YAML is, in words: `a number`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a Boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return "a date"


def explain(error: ErrorDetails) -> str:
    """One error of pydantic as a short sentence without its place. Our own validators' sentences pass as they are."""
    context = error.get("ctx", {})
    value = error["input"]
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "missing":
            return "is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a mapping of keys, not {kind_of(value)}"
        case "tuple_type" | "list_type":
            return f"expected a list, not {kind_of(value)}"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"expected a whole number, not {quote(value) if isinstance(value, str) else kind_of(value)}"
        case "greater_than_equal":
            return f"{value} is too small (minimum {context['ge']})"
        case "less_than_equal":
            return f"{value} is too large (maximum {context['le']})"
        case "int_parsing_size":
            return "the number is too large"
        case "string_type":
            return f"expected text, not {kind_of(value)}"
        case _:
            return error["msg"]
