"""What holds for one command: its command line, else the configuration, else the default; and the baseline's upkeep."""

from __future__ import annotations

import os
import sys

from adaptlint.cli import CommandLineError
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adaptlint.findings import Report

PLAIN = {"target": ("peft",), "values": "none", "fail_on": "error", "form": "text"}
"""What an option is that neither the command line nor the configuration sets."""
KEYS = {"target": "targets", "form": "format"}
"""Options whose setting has another name than they have themselves."""
SETTABLE = (
    "target",
    "transformers",
    "task",
    "model_class",
    "attn",
    "mask",
    "values",
    "select",
    "ignore",
    "fail_on",
    "form",
)
LISTS = ("extend_select", "extend_ignore")


def settle(options: Mapping[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The settings of this folder, and the options with what the settings say of those that were not given.

    Raises CommandLineError for a configuration that cannot be used.
    """
    settings = settings_of(options)
    if settings.values:
        _refuse_unknown_words(settings)
    merged = {
        key: options[key] or _set(settings, key) or PLAIN.get(key, options[key]) for key in SETTABLE if key in options
    }
    for key in LISTS:
        extended = merged[key.removeprefix("extend_")]
        if extended or key == "extend_ignore":  # all rules are selected where none is named
            extended += (*_set(settings, key, ()), *options[key])
        merged[key.removeprefix("extend_")] = extended
    merged["offline"] = options["offline"] or bool(_set(settings, "offline"))
    merged["no_cache"] = options["no_cache"] or _set(settings, "cache") is False
    named = settings.values.get("baseline")
    merged["baseline"] = options["baseline"] or (settings.local(named) if named else None)
    if not merged["baseline"] and (options["write_baseline"] or options["prune_baseline"]):
        raise CommandLineError("there is no baseline to write: name it with --baseline, or in the configuration.")
    return settings, {**options, **merged}


def settings_of(options: Mapping[str, Any]) -> Settings:
    """The settings of the current folder, under the command line's `--config` and `--isolated`."""
    try:
        return load_settings(os.getcwd(), options["config"], options["isolated"])
    except SettingsError as error:
        raise CommandLineError(str(error)) from error


def set_aside(options: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The arguments of a check that say what is set aside."""
    path = options["baseline"]
    if path and options["write_baseline"] and not os.path.exists(path):
        path = None  # it is made from what this check finds
    if path:
        from adaptlint.settings.baseline import read_baseline

        try:
            read_baseline(path)
        except ValueError as error:
            raise CommandLineError(f"{error}.") from error
    if not settings.values:
        return {"baseline": path}
    from adaptlint.settings.ignores import read_ignores

    named = settings.values.get("ignores", ())
    return {
        "baseline": path,
        "ignores": read_ignores(named, settings.root, settings.path) if named else (),
        "severities": settings.values.get("severities", {}),
    }


def keep_baseline(reports: Sequence[Report], options: Mapping[str, Any]) -> None:
    """Write the baseline anew where that was asked for; what it says of other adapters stays."""
    if not (options["write_baseline"] or options["prune_baseline"]):
        return
    from adaptlint.settings.baseline import Baseline, read_baseline, updated, write_baseline

    path = options["baseline"]
    baseline = read_baseline(path) if os.path.exists(path) else Baseline(path, {})
    for report in reports:
        homes = {adapter.name: adapter.path for adapter in report.subject.adapters}
        first = next(iter(homes.values()))
        for home in homes.values():
            told = [f for f in report.findings if homes.get(f.adapter, first) == home and options["write_baseline"]]
            baseline = updated(baseline, home, map(_entry, told), report.stale)
    from adaptlint.reporters.showing import counted, shown_path

    entries = sum(map(len, baseline.adapters.values()))
    try:
        write_baseline(baseline)
    except OSError as error:
        raise CommandLineError(f"{path} cannot be written: {error.strerror}.") from error
    sys.stderr.write(f"{shown_path(path, os.getcwd())}: {counted(entries, 'known finding')}\n")


def _entry(finding: Any) -> dict[str, str]:
    from adaptlint.settings.baseline import MESSAGE

    return {"code": finding.code, "fingerprint": finding.fingerprint, "message": finding.message[:MESSAGE]}


def _set(settings: Settings, key: str, otherwise: Any = None) -> Any:
    """The setting of an option as options have it: lists are tuples there."""
    value = settings.values.get(KEYS.get(key, key.replace("_", "-")), otherwise)
    return tuple(value) if isinstance(value, list) else value


def _refuse_unknown_words(settings: Settings) -> None:
    from adaptlint.catalogue import load_catalogue
    from adaptlint.catalogue.rule import is_named
    from adaptlint.reporters import FORMATS

    rules = load_catalogue()
    named = [
        (f"ignores[{n}].rules", code) for n, i in enumerate(settings.values.get("ignores", ())) for code in i["rules"]
    ]
    for key in ("select", "extend-select", "ignore", "extend-ignore", "severities"):
        named += [(key, code) for code in settings.values.get(key, ())]
    wrong = [
        (key, f"names {code}, and there is no such rule; `adaptlint rules` lists them")
        for key, code in named
        if not any(is_named(rule, [code]) for rule in rules)
    ]
    if settings.values.get("format", "text") not in FORMATS:
        wrong.append(("format", f"is one of {', '.join(FORMATS)}"))
    for key, said in wrong:
        raise CommandLineError(f"{settings.origins.get(key.partition('[')[0], '')}: {key} {said}.")
