"""The ids of tokens that were added to a tokenizer, without reading its vocabulary."""

from __future__ import annotations

import json
import os
import re

from adaptlint.artefacts.documents import Document
from adaptlint.artefacts.folders import Folder
from adaptlint.artefacts.opening import open_regular, read_at
from adaptlint.artefacts.words import Malformed

HEAD = 1 << 20
"""Bytes of tokenizer.json that are looked at: the added tokens stand before the vocabulary."""

SMALL = 4 << 20
"""Larger files of the two other names are passed over."""

LARGEST_ID = 1 << 31


def read_added_token_ids(folder: Folder) -> tuple[str, tuple[int, ...]]:
    """The file that says most of them, and the ids there; ("", ()) where no file says any."""
    found = {
        "added_tokens.json": _from_map(folder),
        "tokenizer_config.json": _from_config(folder),
        "tokenizer.json": _from_head(folder),
    }
    name = max(found, key=lambda file: max(found[file], default=-1))
    return (name, found[name]) if found[name] else ("", ())


def _document(folder: Folder, name: str) -> object:
    if not 0 < folder.names.get(name, 0) <= SMALL:
        return None
    document = folder.json(name)
    return document.value if isinstance(document, Document) else None


def _ids(values: object) -> tuple[int, ...]:
    """The plausible ids among values of any type."""
    given = values if isinstance(values, list) else []
    return tuple(v for v in given if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < LARGEST_ID)


def _from_map(folder: Folder) -> tuple[int, ...]:
    value = _document(folder, "added_tokens.json")
    return _ids(list(value.values())) if isinstance(value, dict) else ()


def _from_config(folder: Folder) -> tuple[int, ...]:
    value = _document(folder, "tokenizer_config.json")
    added = value.get("added_tokens_decoder") if isinstance(value, dict) else None
    return _ids([int(key) for key in added if key.isdecimal() and len(key) < 12]) if isinstance(added, dict) else ()


def _from_head(folder: Folder) -> tuple[int, ...]:
    if "tokenizer.json" not in folder.names:
        return ()
    descriptor = open_regular(os.path.join(folder.path, "tokenizer.json"))
    if isinstance(descriptor, Malformed):
        return ()
    try:
        head = read_at(descriptor, 0, min(HEAD, folder.names["tokenizer.json"])).decode("utf-8", "replace")
    except OSError:
        return ()
    finally:
        os.close(descriptor)
    start = re.search(r'"added_tokens"\s*:\s*(?=\[)', head)
    if start is None:
        return ()
    try:
        listed, _ = json.JSONDecoder().raw_decode(head, start.end())
    except (ValueError, RecursionError):
        return ()
    return _ids([token.get("id") for token in listed if isinstance(token, dict)])
