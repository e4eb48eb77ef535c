"""`adaptlint graph`: the base's modules, their parameter shapes and ties; with --flow the shapes they return.

Without click; `graph_command.py` is its click face.
"""

from __future__ import annotations

from adaptlint.cli import CommandLineError, composed, output
from adaptlint.cli.flow import DEFAULT_BACKEND, refuse_without_flow, text_of
from adaptlint.cli.plain import BACKENDS, Option
from adaptlint.cli.problem import base_or_stop
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.reporters.showing import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("tree", "json", "dot", "graphml", "mermaid")
SIZES = ("batch", "seq", "decoder_seq")
OPTIONS = (
    Option("--format", "[tree]", choices=FORMATS, default="tree", field="form"),
    Option("--task", "PEFT task type that the base is loaded for, such as CAUSAL_LM.", metavar="TASK_TYPE"),
    Option("--model-class", "transformers class that the base is loaded as.", metavar="CLASS"),
    Option("--flow", "How symbolic shapes move through the model's forward.", "flag"),
    Option("--attn", f"With --flow: the attention backend.  [{DEFAULT_BACKEND}]", choices=BACKENDS),
    Option("--batch", "With --flow: a number for batch.", "number"),
    Option("--seq", "With --flow: a number for the sequence length.", "number"),
    Option("--decoder-seq", "With --flow: a number for the decoder's sequence length.", "number"),
    Option("--compose", "With --flow: AdapterHub's expression over ADAPTERs' names.", metavar="'Parallel(a, b)'"),
    Option("--target", "With --compose: whose composition it is.  [adapters]", metavar="RUNTIME[==VERSION]"),
    Option("--fusion", "With --compose: fusion layer of the model, or its folder; repeatable.", "many", "NAMES"),
    Option("--mask", "With --compose: attention mask of the forward.", choices=("none", "padded")),
    Option("--offline", "Never use the network.", "flag"),
    Option("--no-cache", "Neither read nor write the cache of base shapes.", "flag"),
)


def graph(options: Mapping[str, Any]) -> int:
    """Print the module-shape graph of MODEL; with --flow the shapes that its modules return.

    With ADAPTERs and --compose it is the composition: blocks, the sites with what each gives, and where it breaks.
    tree, dot and mermaid fold repeated layers into one; json and graphml (not of a plain --flow) list every module.
    """
    sizes = {name: options[name] for name in SIZES if options[name] is not None}
    model, form, model_class = options["model"], options["form"], options["model_class"]
    offline, cache = options["offline"], not options["no_cache"]
    _refuse_half(options)
    if options["compose"] is not None:
        text = composed.text_of(options, sizes)
    elif options["flow"]:
        if options["task"] is not None:
            raise CommandLineError("--task does not go with --flow: name the class with --model-class.")
        text = text_of(model, form, model_class, options["attn"] or DEFAULT_BACKEND, sizes, offline, cache)
    else:
        text = _modules(model, form, options["task"], model_class, offline, cache)
    output.say(f"{text}\n")
    return 0


def _refuse_half(options: Mapping[str, Any]) -> None:
    """Raise CommandLineError for an option without the one that has a use for it."""
    if not options["flow"]:
        given = {f"--{name.replace('_', '-')}": options[name] for name in ("attn", *SIZES, "compose")}
        refuse_without_flow(given)
    if options["compose"] is None:
        for name in ("target", "fusion", "mask", "adapters"):
            if options[name]:
                said = "an ADAPTER" if name == "adapters" else f"--{name}"
                raise CommandLineError(f"{said} needs --compose.")
    elif not options["adapters"]:
        raise CommandLineError("--compose needs the ADAPTERs that it names.")


def _modules(model: str, form: str, task: str | None, model_class: str | None, offline: bool, cache: bool) -> str:
    base = base_or_stop(model, task, model_class, offline, cache)
    from adaptlint.graph import export

    if form == "json":
        lines = [export.as_json(base)]
    elif form == "tree":
        lines = [shown(line) for line in export.tree(base)]
    else:
        lines = {"dot": export.dot, "graphml": export.graphml, "mermaid": export.mermaid}[form](base)
    return "\n".join(lines)
