"""JSON files: the same answer as `json.load`, and where every entry stands."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from adaptlint.artefacts import Document, Malformed, read_json

from .galleries import configs

CONFIGS = configs()
CONFIG = """{
  "peft_type": "LORA",
  "r": 8,
  "author": "Renée 😀",
  "target_modules": ["q_proj", "v_proj"],
  "rank_pattern": {"a.b": 4, "c\\u0041": [1, {"x": null}]},
  "scale": NaN
}
"""


def library(path: Path) -> tuple[object, Exception | None]:
    try:
        with path.open(encoding="utf-8") as file:
            return json.load(file), None
    except (ValueError, RecursionError) as error:
        return None, error


def agree(path: Path) -> Document | Malformed:
    """Our answer, after checking that `json.load` gives the same."""
    ours, (value, error) = read_json(str(path)), library(path)
    if isinstance(ours, Malformed):
        assert ours.facts["library_type"] == type(error).__name__
        assert str(ours.facts["library_error"]) in str(error)
    else:
        assert error is None
        assert repr(ours.value) == repr(value)
    return ours


@pytest.mark.parametrize("name", CONFIGS)
def test_broken_config_as_library_says(name: str, tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_bytes(CONFIGS[name])
    assert isinstance(agree(path), Malformed)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_entry_is_found(newline: str, tmp_path: Path) -> None:
    text = CONFIG.replace("\n", newline)
    content = text.encode()
    path = tmp_path / "adapter_config.json"
    path.write_bytes(content)
    document = agree(path)
    assert isinstance(document, Document)
    expected = {
        ("peft_type",): (2, 3, b'"peft_type"'),
        ("r",): (3, 3, b'"r"'),
        ("author",): (4, 3, b'"author"'),
        ("target_modules", 1): (5, 32, b'"v_proj"'),
        ("rank_pattern", "a.b"): (6, 20, b'"a.b"'),
        ("rank_pattern", "cA", 1, "x"): (6, 46, b'"x"'),
        ("scale",): (7, 3, b'"scale"'),
    }
    for route, (line, column, shown) in expected.items():
        place = document.place(route)
        assert place is not None, route
        assert (place.line, place.column) == (line, column)
        assert content[place.start_byte : place.end_byte] == shown
    assert document.place(("missing",)) is None
    assert document.place(("target_modules", 2)) is None
    assert document.excerpt(("author",)) == '"author": "Renée 😀"'
    assert document.excerpt(("rank_pattern",)).startswith('"rank_pattern": {"a.b": 4')
    assert len(document.excerpt(())) <= 160
    assert document.duplicates == ()


def test_repeated_keys_are_told(tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text('{"r": 8, "x": [{"a": 1, "a": 2}],\n "r": 16, "\\u0072": 4}')
    document = agree(path)
    assert isinstance(document, Document)
    assert document.value == {"r": 4, "x": [{"a": 2}]}
    assert set(document.duplicates) == {("r",), ("x", 0, "a")}
    place = document.place(("r",))
    assert place is not None
    assert (place.line, document.excerpt(("r",))) == (2, '"\\u0072": 4')


def test_syntax_error_has_place_and_line(tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_bytes(CONFIGS["trailing-comma"])
    fault = agree(path)
    assert isinstance(fault, Malformed)
    assert fault.reason == "json-syntax"
    assert (fault.facts["line"], fault.facts["column"], fault.facts["position"]) == (3, 1, 12)
    assert fault.place is not None
    assert fault.place.start_byte == CONFIGS["trailing-comma"].index(b"}")


def test_limits_hold_before_parsing(tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    reasons = {}
    for name, text in {
        "deep": "[" * 70 + "]" * 70,
        "brackets-in-text": json.dumps(["[" * 500]),
        "many": "[" + "0," * 2_100_000 + "0]",
    }.items():
        path.write_text(text)
        found = read_json(str(path))
        reasons[name] = found.reason if isinstance(found, Malformed) else "sound"
    with path.open("wb") as file:
        file.truncate(1 << 34)
    large = read_json(str(path))
    assert isinstance(large, Malformed)
    assert large.reason == "file-too-large"
    assert reasons == {"deep": "json-too-deep", "brackets-in-text": "sound", "many": "json-too-many-values"}


def test_flipped_and_cut_configs_agree_with_library(tmp_path: Path) -> None:
    pieces = (b"{", b"]", b",", b'"', b"\\", b"\\u12", b"\r\n", b"\xff", b"\xc3", b"-", b"NaN", b"\xef\xbb\xbf")
    rnd = random.Random(5)
    path = tmp_path / "adapter_config.json"
    outcomes = set()
    for _ in range(600):
        content = bytearray(CONFIG.encode())
        at = rnd.randrange(len(content))
        kind = rnd.randrange(3)
        if kind == 0:
            content[at] = rnd.randrange(256)
        elif kind == 1:
            del content[at:]
        else:
            content[at : at + rnd.randrange(3)] = rnd.choice(pieces)
        path.write_bytes(content)
        found = agree(path)
        outcomes.add(getattr(found, "reason", "sound"))
        if isinstance(found, Document) and isinstance(found.value, dict):
            assert all(found.place((key,)) for key in found.value)
    assert {"sound", "json-syntax", "not-utf8"} <= outcomes
