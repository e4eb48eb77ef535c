"""Live builds of every class of a model type, as the recorder compares them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from adaptlint.bases.answers import plain
from adaptlint.bases.base import BaseProblem
from adaptlint.bases.families import RUN
from adaptlint.bases.wanted import buildable
from adaptlint.findings import range_numbers

AUTO_CLASSES = (
    "AutoModelForCausalLM",
    "AutoModelForMaskedLM",
    "AutoModelForSeq2SeqLM",
    "AutoModelForImageClassification",
    "AutoModel",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoModelForQuestionAnswering",
)
"""What tables are made for; a model type counts if one of the first four gives it a class."""
KINDS = dict(zip(("causal", "masked", "seq2seq", "image"), AUTO_CLASSES, strict=False))
JUNK = ("_name_or_path", "transformers_version", "_attn_implementation_autoset")
_RANGE = re.compile(r"[0-9,-]+")
_INITIALISERS = (
    "uniform_",
    "normal_",
    "trunc_normal_",
    "constant_",
    "ones_",
    "zeros_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "eye_",
    "dirac_",
)


@contextmanager
def quick() -> Iterator[None]:
    """Parameters are not initialised and the Auto tables are read once for each class: the records stay the same."""
    import torch
    from transformers import PreTrainedConfig

    from adaptlint.bases import answers, classes

    before = {name: getattr(torch.nn.init, name) for name in _INITIALISERS}
    slow, said = classes.answers_to, PreTrainedConfig.__repr__
    PreTrainedConfig.__repr__ = lambda config: type(config).__name__  # from_dict writes it into a log line
    known: dict[tuple[str, str], list[str]] = {}

    def fast(libraries: Any, model_type: str, name: str) -> list[str]:
        if (model_type, name) not in known:
            known[model_type, name] = slow(libraries, model_type, name)
        return list(known[model_type, name])

    for name in _INITIALISERS:
        setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)
    vars(answers)["answers_to"] = fast
    try:
        yield
    finally:
        vars(answers)["answers_to"], PreTrainedConfig.__repr__ = slow, said
        for name, function in before.items():
            setattr(torch.nn.init, name, function)


def auto_tables(model_type: str) -> dict[str, Any]:
    """Every Auto class that has a class for this model type, with its name or names."""
    from transformers.models.auto import modeling_auto

    found = {}
    for name, auto in vars(modeling_auto).items():
        mapping: Any = getattr(getattr(auto, "_model_mapping", None), "_model_mapping", None)
        if name.startswith("AutoModel") and hasattr(mapping, "get") and mapping.get(model_type) is not None:
            entry = mapping.get(model_type)
            found[name] = list(entry) if isinstance(entry, list | tuple) else entry
    return found


def classes_of(tables: dict[str, Any]) -> list[str]:
    """The classes that a table is made for, the most asked for first."""
    names: dict[str, None] = {}
    for auto in AUTO_CLASSES:
        entry = tables.get(auto, [])
        names.update(dict.fromkeys(entry if isinstance(entry, list) else [entry]))
    return list(names)


def built(raw: dict[str, Any], name: str) -> dict[str, Any] | BaseProblem:
    """The live record of one class."""
    from adaptlint.bases.meta_build import build_record

    return build_record(raw, name)


def resolved(config_class: Any, raw: dict[str, Any]) -> dict[str, Any] | None:
    """`to_dict()` of the config that transformers makes, None if it refuses to make one."""
    from adaptlint.bases.meta_build import silence

    try:
        with silence():
            made = config_class.from_dict(buildable(raw)).to_dict()
    except Exception:
        return None
    kept: dict[str, Any] = plain({key: value for key, value in made.items() if key not in JUNK})
    return kept


def learnable(record: dict[str, Any], config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(record, changes): the record as templates say it, and what the build changed in the config; None if the
    build took something out of the config."""
    parts = {field: value for field, value in record.items() if field not in ("config", "made_with")}
    parts["features"] = {name: value for name, value in record["features"].items() if name != "chosen_by"}
    parts["tree"] = unfolded(record["tree"])
    if config.keys() - record["config"].keys():
        return None
    changes = {
        key: value
        for key, value in record["config"].items()
        if key not in config or config[key] != value or type(config[key]) is not type(value)
    }
    return parts, changes


def unfolded(node: dict[str, Any]) -> dict[str, Any]:
    """A folded node with the children "0", "1", ... as a list under RUN."""
    result = dict(node)
    children: dict[str, Any] = {}
    run: dict[int, Any] = {}
    place = None
    for name, child in node.get("children", {}).items():
        below = unfolded(child)
        if _RANGE.fullmatch(name):
            place = len(children) if place is None else place
            run.update((number, below) for number in range_numbers(name))
        else:
            children[name] = below
    if run:
        entries = list(children.items())
        if sorted(run) == list(range(len(run))):
            entries.insert(place or 0, (RUN, [run[number] for number in range(len(run))]))
        else:
            entries[place or 0 : place or 0] = [(str(number), run[number]) for number in sorted(run)]
        children = dict(entries)
    if "children" in result:
        result["children"] = children
    return result


def first_of(tables: dict[str, Any]) -> Iterable[str]:
    """The kinds (causal, masked, seq2seq, image) that this model type has a class of."""
    return [kind for kind, auto in KINDS.items() if auto in tables]


def native_kernels() -> None:
    """torch's own shape functions in C++ for this process, wherever there is one: Python's, which torch 2.13 puts in
    their place (_meta_registrations.py, activate_meta), take a hundred times as long and say the same.
    """
    import torch
    from torch import _meta_registrations as registered
    from torch._decomp import global_decomposition_table

    in_python: dict[Any, Any] = {}
    for kind in ("meta", "post_autograd", "pre_autograd"):
        for operation, function in global_decomposition_table[kind].items():
            in_python.setdefault(operation, function)
    has: Any = torch._C._dispatch_has_kernel_for_dispatch_key
    left = {
        operation: function
        for operation, function in in_python.items()
        if getattr(operation, "namespace", "") == "aten" and has(operation.name(), "Meta")
    }
    registered._meta_lib_dont_use_me_use_register_meta._destroy()
    library = torch.library.Library("aten", "IMPL", "Meta")
    _kept_libraries.append(library)
    for operation, function in left.items():
        if not has(operation.name(), "Meta") and not has(operation.name(), "CompositeImplicitAutograd"):
            library.impl(operation, function)


_kept_libraries: list[Any] = []
