"""Invariants of one forward: wrapping, causality, the cache, rows with adapters of their own."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

from .diverging import first_divergence
from .models import answer, outputs
from .subjects import OTHER, Unsupported
from .tolerances import apart, close

PIECE = 3  # tokens that are decoded with a cache


class Found(NamedTuple):
    """What an invariant comes to: held or broken, by how much, and where first."""

    status: str
    measured: float | None = None
    detail: str = ""
    where: str | None = None


def compared(subject: Any, one: Any, other: Any, what: str, where: str | None = None) -> Found:
    """Two outputs that ought to be equal."""
    held = subject.agree(one, other)
    return Found("held" if held else "broken", apart(one, other), "" if held else what, None if held else where)


def wrapping(subject: Any) -> Found:
    """(1) The model with no adapter active answers as the base did before it was wrapped."""
    plain, model = subject.base(), subject.wrapped()
    given = subject.given(plain)
    before = answer(plain, given)
    with subject.off(model):
        after = answer(model, given)
        where = None
        if not subject.agree(before, after):
            where = first_divergence(plain, model, given, subject.tolerance)
    return compared(subject, before, after, "with no adapter active the output is another one than before", where)


def future(subject: Any) -> Found:
    """(2) Another last token changes nothing before it, where the base itself is causal."""
    plain = subject.base()
    given = subject.given(plain)
    ids = given.get("decoder_input_ids", given.get("input_ids"))
    if ids is None:
        raise Unsupported("it reads no tokens")
    if not close(*_before_last(plain, given), subject.tolerance):
        raise Unsupported("the base itself is not causal")
    if _blind(plain, given):
        raise Unsupported("no token of the base sees another one yet")
    model = subject.wrapped()
    with subject.off(model):
        one, other = _before_last(model, given)
    if not subject.agree(one, other):
        return Found("broken", apart(one, other), "with no adapter active earlier tokens see the last one")
    one, other = _before_last(model, given)
    return compared(subject, one, other, "with the adapter active earlier tokens see the last one")


def _before_last(model: Any, given: dict[str, Any]) -> tuple[Any, Any]:
    """The output up to the last token, for two texts that differ in that token alone."""
    one, other = _with_another(model, given, -1)
    return one[:, : one.shape[1] - 1], other[:, : other.shape[1] - 1]


def _blind(model: Any, given: dict[str, Any]) -> bool:
    """True where the first token changes nothing behind it: an attention that starts with an answer of zero."""
    one, other = _with_another(model, given, 0)
    return apart(one[:, 1:], other[:, 1:]) == 0.0


def _with_another(model: Any, given: dict[str, Any], at: int) -> tuple[Any, Any]:
    """The outputs of two texts that differ in the token at this place."""
    name = "decoder_input_ids" if "decoder_input_ids" in given else "input_ids"
    changed = given[name].clone()
    changed[:, at] = (changed[:, at] + 1) % (int(changed.max()) + 2)
    one, other = answer(model, given), answer(model, {**given, name: changed})
    if one.dim() < 3 or one.shape[1] < given[name].shape[1]:
        raise Unsupported("its output is not one of tokens")
    return one, other


def cached(subject: Any) -> Found:
    """(4) Tokens that are decoded one after the other with a cache get the logits of one full forward."""
    plain = subject.base()
    given = subject.given(plain)
    if (
        set(given) - {"attention_mask"} != {"input_ids"}
        or "use_cache" not in inspect.signature(plain.forward).parameters
    ):
        raise Unsupported("it is no decoder of tokens with a cache")
    try:
        one, other = _decoded(plain, given)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as problem:
        raise Unsupported(f"the base itself cannot decode with a cache: {type(problem).__name__}") from problem
    if not subject.agree(one, other):
        raise Unsupported("the base itself answers otherwise with its cache")
    model = subject.wrapped()
    with subject.off(model):
        one, other = _decoded(model, given)
    if not subject.agree(one, other):
        return Found("broken", apart(one, other), "with no adapter active cached decoding is another forward")
    one, other = _decoded(model, given)
    return compared(subject, one, other, "with the adapter active cached decoding is another forward")


def _decoded(model: Any, given: dict[str, Any]) -> tuple[Any, Any]:
    """The last outputs of a full forward, and of the last tokens fed one by one to a cache."""
    import torch

    ids = given["input_ids"]
    if ids.shape[1] <= PIECE:
        raise Unsupported("the text is too short")
    with torch.no_grad():
        full = outputs(model(input_ids=ids, use_cache=False))[0]
        if full.dim() < 3:
            raise Unsupported("its output is not one of tokens")
        held = model(input_ids=ids[:, :-PIECE], use_cache=True)
        steps = []
        for at in range(ids.shape[1] - PIECE, ids.shape[1]):
            cache = getattr(held, "past_key_values", None)
            if cache is None:
                raise Unsupported("it has no cache")
            held = model(input_ids=ids[:, at : at + 1], past_key_values=cache, use_cache=True)
            steps.append(outputs(held)[0][:, -1:])
    return full[:, -PIECE:].float().cpu(), torch.cat(steps, 1).float().cpu()


def rows(subject: Any) -> Found:
    """(5) In a batch whose rows have adapters of their own, each row is what its adapter alone gives."""
    import torch

    other = subject.other()
    pair = [(subject.name, subject.folder), (OTHER, other)]
    model = subject.loaded(pair)
    given = subject.given(model)
    count = len(next(iter(given.values())))
    if count < 2:
        raise Unsupported("there is one row alone")
    names = [subject.name] * (count // 2) + [OTHER] * (count - count // 2)
    with torch.no_grad():
        mixed = outputs(subject.rows(model, names, given))[0].float().cpu()
    if len(mixed) != count:
        return Found("broken", None, f"{len(mixed)} rows come out of {count}")
    for name, folder in pair:
        alone = answer(subject.loaded([(name, folder)]), given)
        mine = torch.tensor([each == name for each in names])
        if not subject.agree(alone[mine], mixed[mine]):
            far = apart(alone[mine], mixed[mine])
            return Found("broken", far, f"the rows of {name} are not what it gives alone")
    return Found("held", 0.0)
