"""`adaptlint check`: the main job. Without click; `check_command.py` is its click face."""

from __future__ import annotations

import os

from adaptlint.cli import CommandLineError, Interrupted, output
from adaptlint.cli.background import background_of
from adaptlint.cli.plain import BACKENDS, Option
from adaptlint.cli.replay_options import RUN_OPTIONS
from adaptlint.cli.settled import keep_baseline, set_aside, settle
from adaptlint.cli.waiting import Waiting
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.reporters import DRAWN, FORMATS, TELL_SITES, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adaptlint.findings import Report
    from adaptlint.reporters import Style
    from adaptlint.settings import Settings

OPTIONS = (
    Option("--target", "Who will load it; repeatable.  [peft]", "many", "RUNTIME[==VERSION]"),
    Option("--transformers", "The transformers release beside it.  [installed, or newest]", metavar="VERSION"),
    Option("--plan", "What is done with the adapters.  [each is loaded in turn]", metavar="'STEP; STEP'"),
    Option(
        "--compose",
        "AdapterHub's expression over the adapters' names, for adapters and peft.",
        metavar="'Parallel(a, b)'",
    ),
    Option("--fusion", "Fusion layer that AdapterHub's model will have, or its folder; repeatable.", "many", "NAMES"),
    Option("--task", "PEFT task type that the base is loaded for, such as CAUSAL_LM.", metavar="TASK_TYPE"),
    Option("--model-class", "transformers class that the base is loaded as.", metavar="CLASS"),
    Option("--attn", "Attention backend of the base.  [transformers' choice]", choices=BACKENDS),
    Option("--batch", "Texts in one forward.", "number"),
    Option("--seq", "Tokens of a text, virtual ones not counted.", "number"),
    Option("--decoder-seq", "Tokens that a decoder beside an encoder is given.", "number"),
    Option("--mask", "Attention mask of the forward.", choices=("none", "padded")),
    Option("--select", "Only these rules: codes or how they begin, with commas.", "many", "CODES"),
    Option("--ignore", "All rules but these.", "many", "CODES"),
    Option("--extend-select", "These rules too, beside those of the configuration.", "many", "CODES"),
    Option("--extend-ignore", "Nor these, beside those of the configuration.", "many", "CODES"),
    Option("--fail-on", "Exit 1 from here up.  [error]", choices=("error", "warning", "note")),
    Option("--baseline", "Known findings, which are set aside.", metavar="FILE"),
    Option("--write-baseline", "Take all findings of these adapters into the baseline.", "flag"),
    Option("--prune-baseline", "Take out of the baseline what is gone.", "flag"),
    Option("--values", "Look at tensor values too.  [none]", choices=("none", "sample", "full")),
    Option("--replay", "Run what is flagged with the real library, and mark it.", "flag"),
    Option("--with-run", "Mark the findings by a run record; repeatable.", "many", "RECORD"),
    *RUN_OPTIONS,
    Option("--format", "What stdout gets.  [text]", choices=tuple(FORMATS), field="form"),
    Option("--output", "Write the report to a file too; repeatable.", "many", "[FORMAT:]PATH"),
    Option("--config", "Configuration to read, or one setting of it; repeatable.", "many", "FILE|KEY=VALUE"),
    Option("--isolated", "Read no configuration file.", "flag"),
    Option("--offline", "Never use the network.", "flag"),
    Option("--no-cache", "Neither read nor write the cache of base shapes.", "flag"),
    Option("--quiet", "Only the verdicts.", "flag"),
    Option("--verbose", "Every key and every rule, and the traceback of a crash of ours.", "flag"),
    Option("--exit-zero", "Exit 0 where findings would make it 1.", "flag"),
)


def check(options: Mapping[str, Any]) -> int:
    """Check ADAPTERs against the base MODEL and say what the runtime will do with them.

    MODEL is a folder with a config.json, a config.json, a shape lock, or a hub id in the local cache.
    ADAPTER is a folder, or name=folder.

    Exit status: 0 clean, 1 findings, 2 wrong usage, 3 nothing could be checked, 4 a bug of ours.
    """
    adapters = [named(adapter) for adapter in options["adapters"]]
    inputs = [options["model"], *(adapter if isinstance(adapter, str) else adapter[1] for adapter in adapters)]
    settings, options = settle(options)
    destinations = output.destinations(options["output"], options["form"], inputs)
    forms = {options["form"], *(place.form for place in destinations)}
    with Waiting(f"checking {options['model']}", options["quiet"]):
        report = _report(adapters, options, settings, forms)
    interrupted = False
    if options["replay"] or options["with_run"]:
        from adaptlint.cli.replaying import with_runs

        try:
            report = with_runs(report, options, inputs)
        except Interrupted as stopped:
            report, interrupted = stopped.report, True
    layout = output.style(options["quiet"], options["verbose"])
    background = background_of(report, forms, OPTIONS, options, "check", options["model"], *options["adapters"])

    def draw(form: str, style: Style) -> str:
        return render(report, form, style, background)

    output.deliver(destinations, options["form"], layout, draw)
    keep_baseline([report], options)
    if report.ignores and not options["quiet"]:
        from adaptlint.cli.unused import tell_unused

        tell_unused([report], settings)
    if interrupted:
        return Interrupted.STATUS
    status = report.exit_code(options["fail_on"])
    return 0 if status == 1 and (options["exit_zero"] or options["write_baseline"]) else status


def named(adapter: str) -> str | tuple[str, str]:
    """`name=folder` as a pair; a path that exists as it is written stays a path, whatever it holds."""
    name, equals, folder = adapter.partition("=")
    if not equals or not name or os.sep in name or os.path.exists(adapter):
        return adapter
    if not folder:
        raise CommandLineError(f"{adapter} names no folder.")
    return name, folder


def codes(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Codes from repeated, comma-separated options."""
    return tuple(code.strip() for text in texts for code in text.split(",") if code.strip())


def _report(
    adapters: list[str | tuple[str, str]], options: Mapping[str, Any], settings: Settings, forms: set[str]
) -> Report:
    from adaptlint.engine import check as run_rules

    _refuse_wrong_values(adapters, options)
    return run_rules(
        options["model"],
        adapters,
        targets=options["target"],
        transformers=options["transformers"],
        model_class=options["model_class"],
        task=options["task"],
        compose=options["compose"],
        fusions=options["fusion"],
        plan=options["plan"],
        attn=options["attn"],
        batch=options["batch"],
        seq=options["seq"],
        decoder_seq=options["decoder_seq"],
        mask=options["mask"],
        python=None if options["replay"] else options["python"],
        values=options["values"],
        select=codes(options["select"]),
        ignore=codes(options["ignore"]),
        **set_aside(options, settings),
        offline=options["offline"],
        cache=not options["no_cache"],
        sites=not forms.isdisjoint(TELL_SITES),
        drawn=not forms.isdisjoint(DRAWN),
    )


def _refuse_wrong_values(adapters: list[str | tuple[str, str]], options: Mapping[str, Any]) -> None:
    """Say what is wrong with options that only the rooms below understand."""
    from adaptlint.engine.checking import named_adapters

    names = [name for name, _ in named_adapters(adapters)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise CommandLineError(f"two adapters are named {twice[0]}; give one another name with name=folder.")
    if options["plan"] is not None:
        from adaptlint.runtimes.peft.plan import PlanError, parse_plan

        try:
            parse_plan(options["plan"])
        except PlanError as error:
            raise CommandLineError(f"--plan: {error}") from error
    refuse_wrong_composition(options["compose"], options["target"] or ("peft",))
    for text in options["fusion"]:
        if os.sep in text and not os.path.isdir(text):
            raise CommandLineError(f"--fusion: {text} is no folder.")
    if options["python"] is not None and not options["replay"]:
        from adaptlint.engine.arguments import refuse_wrong_interpreter

        try:
            refuse_wrong_interpreter(options["python"], options["target"] or ("peft",))
        except ValueError as error:
            raise CommandLineError(f"--python: {error}.") from error
    refuse_unknown_codes(options)


def refuse_unknown_codes(options: Mapping[str, Any]) -> None:
    """Raise CommandLineError for a code that no rule has."""
    for code in codes((*options["select"], *options["ignore"])):
        from adaptlint.catalogue import load_catalogue, select

        if not select(load_catalogue(), [code], ()):
            raise CommandLineError(f"there is no rule {code}; `adaptlint rules` lists them.")


def refuse_wrong_composition(text: str | None, targets: Sequence[str]) -> None:
    """Raise CommandLineError with a caret below the place of a mistake."""
    if text is None:
        return
    from adaptlint.engine import arguments

    try:
        arguments.refuse_wrong_composition(text, targets)
    except ValueError as error:
        shown = " ".join(text.split("\n"))
        caret = " " * (getattr(error, "column", 1) - 1) + "^"
        raise CommandLineError(f"--compose: {error}.\n  {shown}\n  {caret}") from error
