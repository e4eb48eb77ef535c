"""A configuration held against config.schema.json, which is the one list of its keys; every mistake in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from adaptlint.hints import Any

_WORDS = {
    "string": ("text", (str,)),
    "boolean": ("true or false", (bool,)),
    "integer": ("a whole number", (int,)),
    "array": ("a list", (list,)),
    "object": ("a table", (dict,)),
}


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of the configuration; its `properties` are the keys."""
    import json
    import os

    with open(os.path.join(os.path.dirname(__file__), "config.schema.json"), encoding="utf-8") as stream:
        read: dict[str, Any] = json.load(stream)
    return read


def defaults() -> dict[str, Any]:
    """What every key is when nobody sets it; None where the schema has no default."""
    return {key: card.get("default") for key, card in schema()["properties"].items()}


def plain(value: Any) -> Any:
    """A TOML value as JSON has it: dates become text."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value if isinstance(value, str | int | float) else str(value)


def mistakes(value: Any, card: Mapping[str, Any] | None = None, at: str = "") -> Iterator[str]:
    """What is wrong with `value`, each mistake with the key that it stands at."""
    card = schema() if card is None else card
    said, kinds = _WORDS[card["type"]]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        yield f"{at or 'the configuration'} is {said}, not {_shown(value)}"
    elif isinstance(value, dict):
        yield from _of_table(value, card, at)
    elif isinstance(value, list):
        if len(value) < card.get("minItems", 0):
            yield f"{at} is empty"
        for number, entry in enumerate(value):
            yield from mistakes(entry, card["items"], f"{at}[{number}]")
    elif not isinstance(value, str):
        return
    elif "enum" in card and value not in card["enum"]:
        yield f"{at} is {_listed(card['enum'])}, not {_shown(value)}{nearest(value, card['enum'])}"
    elif len(value.strip()) < card.get("minLength", 0):
        yield f"{at} is empty"
    elif card.get("format") == "date" and not _is_date(value):
        yield f"{at} is a date such as 2030-12-31, not {_shown(value)}"


def _of_table(value: dict[str, Any], card: Mapping[str, Any], at: str) -> Iterator[str]:
    known, further = card.get("properties", {}), card.get("additionalProperties", False)
    for key, entry in value.items():
        place = f"{at}.{key}" if at else key
        if key in known:
            yield from mistakes(entry, known[key], place)
        elif isinstance(further, dict):
            yield from mistakes(entry, further, place)
        else:
            yield f"{_shown(place)} is no setting{nearest(key, list(known))}"
    for key in card.get("required", ()):
        if key not in value:
            yield f"{at} has no {key}, which it needs"


def nearest(word: str, known: list[str]) -> str:
    """` (did you mean ...?)` for the known word that looks most like it, "" where none does."""
    from difflib import get_close_matches

    close = get_close_matches(word.lower().replace("_", "-"), known, 1, 0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) < 80 else repr(value)[:76] + "..."


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
