"""`adaptlint scan`: many adapters, each against its own base."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import click

from adaptlint.cli import CommandLineError, NothingToSay, check, output
from adaptlint.cli.background import background_of
from adaptlint.cli.check_command import click_option
from adaptlint.cli.plain import Option
from adaptlint.cli.progress import Progress
from adaptlint.cli.replay_options import RUN_OPTIONS
from adaptlint.cli.settled import keep_baseline, set_aside, settle
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.reporters import FORMATS, TELL_SITES
from adaptlint.reporters.showing import shown_path

if TYPE_CHECKING:
    from adaptlint.reporters import Style
    from adaptlint.scanning import Scanned
    from adaptlint.settings import Settings

FORMS = (
    "text",
    "full",
    "concise",
    "json",
    "jsonl",
    *(form for form in FORMATS if form not in ("text", "concise", "json")),
)
GRADUAL = ("full", "concise", "jsonl")  # said adapter by adapter
_OWN = (
    Option("--base", "Base of every adapter that the manifest names none for.", metavar="MODEL"),
    Option("--require-base", "A base that cannot be found is an error, not a note.", "flag"),
    Option("--exclude", "Folders to pass over; repeatable.", "many", "GLOB"),
    Option("--format", "What stdout gets.  [text]", choices=FORMS, field="form"),
)
_RUNS = ("--replay", "--with-run", *(option.name for option in RUN_OPTIONS))
_NOT_HERE = ("--plan", "--compose", "--fusion", "--batch", "--seq", "--decoder-seq", "--format", *_RUNS)
OPTIONS = (*_OWN, *(option for option in check.OPTIONS if option.name not in _NOT_HERE))


def scan(options: Mapping[str, Any], allow_nothing: bool = False) -> int:
    """Check every adapter at or below PATHS against its base.

    A PATH is a folder, or a manifest: JSON Lines of {"adapter": FOLDER, "base": MODEL}. The base is the manifest's,
    else --base, else the one that `bases` of the configuration has for the folder, else the one that the adapter's
    own config names, if that lies in the hub's cache or is a path.

    Exit status: 0 clean, 1 findings, 2 wrong usage, 3 nothing could be checked, 4 a bug of ours.
    """
    from adaptlint.scanning import status_of

    settings, options = settle({**options, "form": options["form"] or "text"})
    places = output.destinations(options["output"], options["form"], options["paths"])
    asked = {options["form"], *(place.form for place in places)}
    done = list(_shown(_results(options, settings, not asked.isdisjoint(TELL_SITES)), options))
    _deliver(done, places, options)
    keep_baseline([one.report for one in done], options)
    if settings.values.get("ignores") and not options["quiet"]:
        from adaptlint.cli.unused import tell_unused

        tell_unused([one.report for one in done], settings, options["paths"])
    status = status_of(done, options["fail_on"], allow_nothing)
    return 0 if status == 1 and (options["exit_zero"] or options["write_baseline"]) else status


def _results(options: Mapping[str, Any], settings: Settings, sites: bool) -> Iterator[Scanned]:
    from adaptlint.scanning import jobs_of
    from adaptlint.scanning import scan as run_jobs

    values = {**settings.values, "exclude": [*settings.get("exclude"), *options["exclude"]]}
    try:
        jobs = jobs_of(options["paths"], settings._replace(values=values), options["base"], options["require_base"])
    except ValueError as error:
        raise CommandLineError(f"{error}.") from error
    check.refuse_unknown_codes(options)
    arguments = {
        "targets": options["target"],
        **{name: options[name] for name in ("transformers", "task", "model_class", "attn", "mask", "values")},
        **{name: check.codes(options[name]) for name in ("select", "ignore")},
        **set_aside(options, settings),
        "offline": options["offline"],
        "cache": not options["no_cache"],
        "sites": sites,
    }
    progress = Progress(len(jobs), options["quiet"])
    for one in run_jobs(jobs, arguments):
        progress.end()
        yield one
        progress.step(one.job.adapter)
    progress.end()


def _shown(results: Iterable[Scanned], options: Mapping[str, Any]) -> Iterator[Scanned]:
    """The results, each said as soon as it is there, where the format allows."""
    style, form = output.style(options["quiet"], options["verbose"]), options["form"]
    for one in results:
        if form == "jsonl":
            output.say(_json_line(one) + "\n")
        elif form == "concise" or (form == "full" and (one.report.findings or options["verbose"])):
            output.say(_whole(one, form, style))
        yield one


def _deliver(done: Sequence[Scanned], places: Sequence[output.Destination], options: Mapping[str, Any]) -> None:
    """All results into the files that were asked for, and to stdout what was not said on the way."""
    layout = output.style(options["quiet"], options["verbose"])

    def draw(form: str, style: Style) -> str:
        return _drawn(done, form, style, options)

    form = options["form"]
    output.deliver(places, None if form in GRADUAL else form, layout, draw)
    if form == "full":
        from adaptlint.reporters.table import sentence

        output.say(sentence([one.report for one in done]) + "\n")


def _drawn(done: Sequence[Scanned], form: str, style: Style, options: Mapping[str, Any]) -> str:
    """All results in one format: those with room for one report get one that joins them."""
    from adaptlint.reporters import render
    from adaptlint.reporters.table import render_many, sentence

    reports = [one.report for one in done]
    if form == "text":
        return render_many(reports, style)
    if form == "json":
        rows = ",\n".join(map(_json_line, done))
        return f'{{"schema_version": "1", "adapters": [\n{rows}\n]}}\n'
    if form in GRADUAL:
        lines = (_json_line(one) + "\n" if form == "jsonl" else _whole(one, form, style) for one in done)
        return "".join(lines) + (sentence(reports) + "\n" if form == "full" else "")
    from adaptlint.findings.joining import joined

    if not reports:
        raise NothingToSay(f"there is no adapter, and {form} has no form for that.")
    whole = joined(reports, lambda path: shown_path(path, style.here))
    return render(whole, form, style, background_of(whole, [form], OPTIONS, options, "scan", *options["paths"]))


def _whole(one: Scanned, form: str, style: Style) -> str:
    from adaptlint.reporters import render

    told = render(one.report, "text" if form == "full" else form, style)
    return told if form == "concise" else f"{told}\n"


def _json_line(one: Scanned) -> str:
    import json

    from adaptlint.reporters import render

    head = {"adapter": one.job.adapter, "base": one.job.base.ref or None, "base_named_by": one.job.base.named_by}
    report = json.loads(render(one.report, "json"))
    return json.dumps({**head, "report": report}, separators=(",", ":"))


def _callback(**options: Any) -> int:
    return scan(options)


command = click.Command(
    "scan",
    callback=_callback,
    help=scan.__doc__,
    params=[click.Argument(["paths"], metavar="PATH...", nargs=-1, required=True), *map(click_option, OPTIONS)],
)
