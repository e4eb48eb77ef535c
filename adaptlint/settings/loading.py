"""Which configuration holds here: the nearest one upward, what `--config` adds, and where every value came from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

OWN, PROJECT = "adaptlint.toml", "pyproject.toml"
TABLE = "tool.adaptlint"
LIMIT = 1 << 20  # bytes; a project file beyond that is none


class SettingsError(ValueError):
    """A configuration that cannot be used; the message has one line per mistake."""


class Settings(NamedTuple):
    """The values that somebody has set, by their keys in config.schema.json.

    `path` is the file that they were read from ("" for none), `root` the folder from which its paths and globs count,
    `origins` says of each key where it was set.
    """

    path: str
    root: str
    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def get(self, key: str) -> Any:
        """The value of a key, its default where nobody has set it."""
        if key in self.values:
            return self.values[key]
        from adaptlint.settings.validating import defaults

        return defaults()[key]

    def local(self, path: str) -> str:
        """A path that the file names, as it is from anywhere."""
        return os.path.join(self.root, path)


def load_settings(start: str, given: Sequence[str] = (), isolated: bool = False) -> Settings:
    """The settings for a command run in the folder `start`.

    `given` are the texts of `--config`: a file to read in place of the nearest one, or KEY=VALUE in TOML, which beats
    the file. `isolated` looks for no file. Raises SettingsError.
    """
    files = [text for text in given if _is_file(text)]
    if len(files) > 1:
        raise SettingsError(f"--config names two files, {files[0]} and {files[1]}")
    path = files[0] if files else "" if isolated else find_config(start)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path:
        values = read_config(path)
        origins = dict.fromkeys(values, path)
    for text in given:
        if text not in files:
            told = _inline(text)
            values |= told
            origins |= dict.fromkeys(told, f"--config {text}")
    return Settings(path, os.path.dirname(os.path.abspath(path)) if path else os.path.abspath(start), values, origins)


def find_config(start: str) -> str:
    """The nearest adaptlint.toml, or pyproject.toml with a table for us, from `start` upward; "" for none."""
    folder = os.path.abspath(start)
    while True:
        own = os.path.join(folder, OWN)
        if os.path.isfile(own):
            return own
        project = os.path.join(folder, PROJECT)
        if os.path.isfile(project) and _names_us(project):
            return project
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above


def read_config(path: str) -> dict[str, Any]:
    """The checked values of an adaptlint.toml, or of a pyproject.toml's table. Raises SettingsError."""
    content = _content(path)
    if content is None:
        raise SettingsError(f"{path} cannot be read")
    values = _parsed(content.decode("utf-8", "replace"), path)
    if os.path.basename(path) == PROJECT:
        tool = values.get("tool", {})
        values = tool.get("adaptlint", {}) if isinstance(tool, dict) else {}
    return _checked(values, path)


def _names_us(path: str) -> bool:
    """True for a pyproject.toml with a table for us. Most have none: they are told without a TOML parser."""
    content = _content(path)
    if content is None or b"adaptlint" not in content:
        return False
    lines = [line.split(b"#")[0] for line in content.splitlines()]
    bare = any(line.replace(b" ", b"") in (b"[tool]", b'["tool"]') for line in lines)
    if not bare and not any(b"tool" in line and b"adaptlint" in line for line in lines):
        return False
    try:
        tool = _parsed(content.decode("utf-8", "replace"), path).get("tool")
    except SettingsError:  # whoever else reads that file says what is wrong with it, unless our table stands in it
        return any(line.translate(None, b" \t\"'").lstrip(b"[").startswith(b"tool.adaptlint") for line in lines)
    return isinstance(tool, dict) and "adaptlint" in tool


def _content(path: str) -> bytes | None:
    from adaptlint.artefacts.opening import read_whole

    found = read_whole(path, LIMIT)
    return found if isinstance(found, bytes) else None


def _parsed(text: str, path: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid TOML: {str(error) or 'nested too deeply'}") from error


def _checked(values: Any, source: str) -> dict[str, Any]:
    from adaptlint.settings.validating import mistakes, plain

    values = plain(values)
    found = list(mistakes(values))
    if found:
        raise SettingsError("\n".join(f"{source}: {mistake}." for mistake in found))
    checked: dict[str, Any] = values
    return checked


def _is_file(text: str) -> bool:
    return os.path.isfile(text) or text.endswith(".toml") or "=" not in text


def _inline(text: str) -> dict[str, Any]:
    """KEY=VALUE of the command line; a value that is no TOML is taken as text, which spares quotes within quotes."""
    import tomllib

    key, _, value = text.partition("=")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        values = {key.strip(): value.strip()}
    return _checked(values, f"--config {text}")
