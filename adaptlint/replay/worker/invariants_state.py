"""Invariants of what is done to a model: loading, saving, switching, merging, training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .invariants_forward import Found, compared
from .models import answer, outputs
from .subjects import OTHER
from .tolerances import apart

STEPS, RATE = 8, 0.01  # of the training that is tried
SHORTER = 0.1  # a step after one that went too far


def arrives(subject: Any) -> Found:
    """(6) Every tensor of the file is in the model, and the adapter changes the output."""
    model = subject.wrapped()
    first = subject.tensors(model, subject.name)
    written = in_file(subject.folder)
    lost = [key for key, value in written.items() if not _is_among(key, value, first)]
    if lost:
        return Found(
            "broken",
            float(len(lost)),
            f"{len(lost)} of {len(written)} tensors of the file are not in the model",
            lost[0],
        )
    given = subject.given(model)
    on = answer(model, given)
    with subject.off(model):
        off = answer(model, given)
    if on.shape == off.shape and apart(on, off) == 0.0:
        return Found("broken", 0.0, "the output is the same with the adapter on and off")
    return Found("held", apart(on, off) if on.shape == off.shape else None)


def in_file(folder: str) -> dict[str, Any]:
    """The tensors of an adapter's file."""
    import os

    import safetensors.torch
    import torch

    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".safetensors"):
            return dict(safetensors.torch.load_file(path))
        if name in ("adapter_model.bin", "pytorch_adapter.bin"):
            return dict(torch.load(path, weights_only=True, map_location="cpu"))
    return {}


def _is_among(key: str, value: Any, held: dict[str, Any]) -> bool:
    """Whether a tensor is in the model, under its own key or (where a library renames) under any."""
    import torch

    own = held.get(key)
    candidates = [own] if own is not None else [each for each in held.values() if each.shape == value.shape]
    return any(
        each.shape == value.shape and torch.allclose(each.float().cpu(), value.float(), rtol=1e-2, equal_nan=True)
        for each in candidates
    )


def saved(subject: Any) -> Found:
    """(7) The adapter that is saved from the model and loaded onto a fresh base gives the same output."""
    model = subject.wrapped()
    given = subject.given(model)
    before = answer(model, given)
    folder = subject.save(model, subject.name)
    again = subject.loaded([(subject.name, folder)])
    return compared(subject, before, answer(again, given), "saved and loaded again it gives another output")


def switched(subject: Any) -> Found:
    """(8) Two adapters, in both orders: each active one is what it is alone, off is the base, a deleted one is gone."""
    second = subject.other()
    pair = [(subject.name, subject.folder), (OTHER, second)]
    plain = subject.base()
    given = subject.given(plain)
    meant = {name: answer(subject.loaded([(name, folder)]), given) for name, folder in pair}
    bare = answer(plain, given)
    for order in (pair, pair[::-1]):
        model = subject.loaded(order)
        names = [name for name, _ in order]
        for step in (names[0], names[1], names[0]):
            subject.activate(model, step)
            seen = answer(model.eval(), given)
            if not subject.agree(meant[step], seen):
                told = f"loaded as {' then '.join(names)}, {step} is not what it is alone once it is active"
                return Found("broken", apart(meant[step], seen), told)
        with subject.off(model):
            seen = answer(model, given)
        if not subject.agree(bare, seen):
            return Found("broken", apart(bare, seen), "with both adapters off the model is not the base")
        seen = answer(model, given)
        if not subject.agree(meant[names[0]], seen):
            return Found("broken", apart(meant[names[0]], seen), f"after switching off and on {names[0]} is another")
        subject.delete(model, names[1])
        seen = answer(model.eval(), given)
        if not subject.agree(meant[names[0]], seen):
            told = f"after {names[1]} was deleted {names[0]} is not what it was"
            return Found("broken", apart(meant[names[0]], seen), told)
    return Found("held", 0.0)


def merged(subject: Any) -> Found:
    """(9) With the update in the base's weights the output is what it was."""
    model = subject.wrapped(own=True)
    given = subject.given(model)
    before = answer(model, given)
    after = answer(subject.merged(model).eval(), given)
    return compared(subject, before, after, "merged it gives another output")


def learns(subject: Any) -> Found:
    """(10) Small steps towards a far output bring it nearer, and every parameter of the adapter gets a gradient."""
    import torch

    model = subject.wrapped()
    own = subject.trainable(model, subject.name)
    given = subject.given(model)
    ran = executed(model)
    with torch.no_grad():
        first = outputs(model(**given))[0].float()
    asleep = {name for name in own if not _has_part(model, name, ran)}
    source = torch.Generator().manual_seed(7)
    aim = torch.randn(first.shape, generator=source).to(first.device) * max(float(first.std()), 1e-2)
    losses, reached = _descent(own, lambda: (outputs(model(**given))[0].float() - aim).pow(2).mean())
    left = [name for name in own if name not in reached and name not in asleep]
    if left:
        return Found("broken", float(len(left)), f"no gradient reaches {len(left)} of {len(own)} parameters", left[0])
    if min(losses[1:]) >= losses[0]:
        return Found("broken", min(losses[1:]) - losses[0], "the loss does not decrease")
    return Found("held", losses[0] - min(losses[1:]))


def _descent(own: dict[str, Any], loss_of: Callable[[], Any]) -> tuple[list[float], set[str]]:
    """The losses along small steps against the gradient, and the parameters that a gradient reached.

    A step that made the loss larger was longer than the slope holds: it is taken back, and a shorter one tried.
    """
    rate, losses = RATE, list[float]()
    reached: set[str] = set()
    held: dict[str, Any] = {}
    slopes: dict[str, Any] = {}
    for _ in range(STEPS):
        for value in own.values():
            value.grad = None
        loss = loss_of()
        loss.backward()
        found = {name: value.grad for name, value in own.items() if value.grad is not None and bool(value.grad.any())}
        reached |= set(found)
        if losses and not float(loss.detach()) <= min(losses):
            rate *= SHORTER
            _put(own, held)
        else:
            held, slopes = {name: value.detach().clone() for name, value in own.items()}, found
        losses.append(float(loss.detach()))
        _downhill(own, slopes, rate)
    return losses, reached


def _put(own: dict[str, Any], values: dict[str, Any]) -> None:
    """Give the parameters these values."""
    import torch

    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(value)


def _downhill(own: dict[str, Any], slopes: dict[str, Any], rate: float) -> None:
    """One step against the gradient, `rate` times as long as the parameters themselves."""
    import torch

    steep = sum(float(slope.float().norm()) ** 2 for slope in slopes.values()) ** 0.5
    size = sum(float(value.detach().float().norm()) ** 2 for value in own.values()) ** 0.5
    if steep:
        with torch.no_grad():
            for name, slope in slopes.items():
                own[name].sub_(slope * (rate * max(size, RATE) / steep))


def executed(model: Any) -> set[str]:
    """The paths of the modules that run from now on; it grows with every forward."""
    ran: set[str] = set()
    for path, module in model.named_modules():
        module.register_forward_hook(lambda *_, path=path: ran.add(path))
    return ran


def _has_part(model: Any, name: str, ran: set[str]) -> bool:
    """False for a parameter of a module that this forward has no use for, such as cross attention without an encoder.

    A layer that is passed by while the module around it runs (which takes its weight and not its answer) has a part.
    """
    import torch

    containers = (torch.nn.ModuleDict, torch.nn.ModuleList, torch.nn.ParameterDict)
    modules = dict(model.named_modules())
    parts = name.split(".")[:-1]
    around = [path for end in range(len(parts), 0, -1) if (path := ".".join(parts[:end])) in modules]
    solid = [path for path in around if not isinstance(modules[path], containers)]
    at = next((place for place, path in enumerate(solid) if hasattr(modules[path], "base_layer")), 0)
    return any(path in ran for path in solid[: at + 2])
