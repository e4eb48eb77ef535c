"""Each invariant holds for a healthy adapter of a real model, and breaks where a fault is planted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from peft import peft_model  # noqa: E402
from peft.tuners.lora.layer import Linear  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from adaptlint.replay.conduct import base_of, job_of  # noqa: E402
from adaptlint.replay.plan import Run, Settings, plan  # noqa: E402
from adaptlint.replay.worker import invariants_backends  # noqa: E402
from adaptlint.replay.worker.invariants import INVARIANTS, examine  # noqa: E402
from adaptlint.replay.worker.subjects import PeftSubject  # noqa: E402
from tests.replay import adapters  # noqa: E402
from tests.replay.batch import Collected  # noqa: E402

Row = dict[str, Any]
NUMBERS = tuple(each.number for each in INVARIANTS)
WEIGHTS = "adapter_model.safetensors"


def job(*numbers: int) -> dict[str, Any]:
    report = adapters.report(adapters.HEALTHY)
    settings = Settings(all=True, invariants=numbers)
    (run,) = (each for each in plan(report, base_of(report), settings) if isinstance(each, Run))
    return job_of(report, run, settings)


def examined(asked: dict[str, Any], kind: Any = None) -> list[Row]:
    channel = Collected(asked)
    examine(asked, channel, kind)
    return channel.events


def test_all_ten_hold_for_a_healthy_adapter() -> None:
    rows = examined(job(*NUMBERS))
    assert [(row["number"], row["status"]) for row in rows] == [(number, "held") for number in NUMBERS], rows
    assert {row["tolerance"] for row in rows} == {1e-4}
    assert all(row["seconds"] >= 0 for row in rows)
    assert [row["measured"] for row in rows] == [row["measured"] for row in examined(job(*NUMBERS))]  # seeded


class Hooked(PeftSubject):
    """A model whose first attention goes wrong in a way of the test's own."""

    wrong: Callable[[Any, Any], Any]

    def wrapped(self, attn: str | None = None, own: bool = False) -> Any:
        model = super().wrapped(attn, own)
        layer = model.get_base_model().model.layers[0].self_attn
        layer.register_forward_hook(lambda _, __, result: (self.wrong(result[0], attn), *result[1:]))
        return model


class Leaking(Hooked):
    """Every token gets a part of the whole text."""

    def wrong(self, found: Any, attn: str | None) -> Any:
        return found + found.mean(dim=1, keepdim=True)


class BackendOff(Hooked):
    """sdpa computes something else."""

    def wrong(self, found: Any, attn: str | None) -> Any:
        return found + 0.05 if attn == "sdpa" else found


class KernelOff(PeftSubject):
    """The adapter goes wrong under one kernel of sdpa alone."""

    def wrapped(self, attn: str | None = None, own: bool = False) -> Any:
        model = super().wrapped(attn, own)
        layer = model.get_base_model().model.layers[0].self_attn
        if attn == "sdpa":
            layer.register_forward_hook(lambda _, __, result: (self.wrong(result[0]), *result[1:]))
        return model

    def wrong(self, found: Any) -> Any:
        only_math = not torch.backends.cuda.flash_sdp_enabled() and torch.backends.cuda.math_sdp_enabled()
        return found + 0.05 * only_math


def test_what_was_compared_is_told_where_it_holds() -> None:
    """On a CPU torch has two kernels of sdpa: flash and math; what was not run is told with the reason."""
    (row,) = examined(job(3))
    ran, _, left = row["detail"].partition("; not run: ")
    assert (row["status"], ran) == ("held", "eager, sdpa, sdpa's FLASH_ATTENTION, sdpa's MATH")
    for name in ("flash_attention_2 (no cuda)", "flex_attention (no cuda)", "sdpa's EFFICIENT_ATTENTION (RuntimeError"):
        assert name in left
    assert "sdpa's CUDNN_ATTENTION (RuntimeError: No viable backend" in left


@pytest.mark.skipif("FLEX_COMPILED" not in os.environ, reason="compiles for a minute; FLEX_COMPILED=1")
def test_flex_attention_is_compiled_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU inductor compiles its forward alone: the gradients are left out, and that is told."""
    monkeypatch.setattr(invariants_backends, "BACKENDS", ("eager", "flex_attention"))
    (row,) = examined(job(3))
    assert row["status"] == "held", row
    assert row["detail"].startswith("eager, flex_attention (forward alone)"), row


class Refused(PeftSubject):
    """sdpa refuses the base's own numbers, as flash attention does float32."""

    def base(self, attn: str | None = None, own: bool = False) -> Any:
        model = super().base(attn, own)
        if attn == "sdpa":
            model.model.layers[0].self_attn.register_forward_hook(self.refuse)
        return model

    def wrapped(self, attn: str | None = None, own: bool = False) -> Any:
        return self.loaded([(self.name, self.folder)], attn, own)

    def refuse(self, *_: Any) -> None:
        raise RuntimeError("only support fp16 and bf16 data type")


def test_a_backend_that_the_base_does_not_stand_is_left_out_and_told() -> None:
    (row,) = examined(job(3), Refused)
    assert row["status"] == "skipped"
    assert "sdpa (RuntimeError: only support fp16 and bf16 data type)" in row["detail"]


class KernelRaises(KernelOff):
    """Under one kernel of sdpa the adapter raises what the base does not."""

    def wrong(self, found: Any) -> Any:
        if not torch.backends.cuda.flash_sdp_enabled() and torch.backends.cuda.math_sdp_enabled():
            raise RuntimeError("not with this kernel")
        return found


def test_what_raises_under_one_kernel_alone_is_not_taken_for_a_missing_kernel() -> None:
    (row,) = examined(job(3), KernelRaises)
    assert (row["status"], row["error"]["message"]) == ("raised", "not with this kernel")


def test_the_kernels_of_sdpa_are_measured_one_by_one() -> None:
    (row,) = examined(job(3), KernelOff)
    assert row["status"] == "broken"
    assert "sdpa's MATH" in row["detail"]
    assert row["where"] == "model.layers.0.self_attn"


class Forgetful(PeftSubject):
    """The cache is not read."""

    def wrapped(self, attn: str | None = None, own: bool = False) -> Any:
        model = super().wrapped(attn, own)
        inner = model.get_base_model()
        forward = inner.forward
        inner.forward = lambda *args, past_key_values=None, **options: forward(*args, **options)
        return model


@pytest.mark.parametrize(
    ("number", "kind", "where"),
    [(2, Leaking, None), (3, BackendOff, "model.layers.0.self_attn"), (4, Forgetful, None)],
    ids=["future", "backends", "cache"],
)
def test_a_model_that_goes_wrong(number: int, kind: type[PeftSubject], where: str | None) -> None:
    (row,) = examined(job(number), kind)
    assert row["status"] == "broken", row
    assert row["where"] == where
    assert row["measured"] > 0.001


def always_on(self: Any, x: Any, *args: Any, **options: Any) -> Any:
    return self.base_layer(x) + 0.05


FORWARD, MIXED, DELTA = Linear.forward, Linear._mixed_batch_forward, Linear.get_delta_weight
SAVED, SET = peft_model.get_peft_model_state_dict, peft_model.PeftModel.set_adapter


def first_for_all(self: Any, x: Any, *args: Any, adapter_names: list[str], **options: Any) -> Any:
    return MIXED(self, x, *args, adapter_names=[adapter_names[0]] * len(adapter_names), **options)


def one_is_lost(*args: Any, **options: Any) -> Any:
    told = SAVED(*args, **options)
    key = sorted(key for key in told if "lora_B" in key)[0]
    return {**told, key: torch.zeros_like(told[key])}


def stays(self: Any, name: str, *args: Any, **options: Any) -> None:
    if name != "other":
        SET(self, name, *args, **options)


def test_wrapping_that_changes_the_model() -> None:
    with mock.patch.object(Linear, "forward", always_on):
        (row,) = examined(job(1))
    assert row["status"] == "broken"
    assert row["where"].startswith("model.layers.0.")


@pytest.mark.parametrize(
    ("number", "owner", "name", "fault"),
    [
        (5, Linear, "_mixed_batch_forward", first_for_all),
        (7, peft_model, "get_peft_model_state_dict", one_is_lost),
        (8, peft_model.PeftModel, "set_adapter", stays),
        (8, peft_model.PeftModel, "delete_adapter", lambda self, name: SET(self, name)),
        (9, Linear, "get_delta_weight", lambda self, adapter: 1.5 * DELTA(self, adapter)),
    ],
    ids=["rows", "saving", "switching", "deleting", "merging"],
)
def test_a_library_that_goes_wrong(number: int, owner: Any, name: str, fault: Any) -> None:
    with mock.patch.object(owner, name, fault):
        (row,) = examined(job(number))
    assert row["status"] == "broken", row
    assert row["detail"]


@pytest.fixture
def copied(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """The job about a copy of the adapter, and the copy's weights."""
    asked = job(6)
    folder = shutil.copytree(asked["adapters"][0]["folder"], tmp_path / "adapter")
    asked["adapters"][0]["folder"] = str(folder)
    return asked, folder / WEIGHTS


@pytest.mark.parametrize("fault", ["zeroed", "surplus"])
def test_a_file_that_does_not_arrive_or_does_nothing(fault: str, copied: tuple[dict[str, Any], Path]) -> None:
    asked, weights = copied
    tensors = load_file(weights)
    if fault == "zeroed":
        tensors = {key: value * ("lora_B" not in key and "embedding" not in key) for key, value in tensors.items()}
    else:
        tensors["base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight"] = torch.full((3, 5), 0.5)
    save_file(tensors, weights)
    (row,) = examined(asked)
    assert row["status"] == "broken", row
    assert ("no effect" in row["detail"] or "on and off" in row["detail"]) is (fault == "zeroed")
    assert (row["where"] or "").count("layers.7") == (fault == "surplus")


class Unreached(PeftSubject):
    """The gradient of one parameter is cut off."""

    def wrapped(self, attn: str | None = None, own: bool = False) -> Any:
        model = super().wrapped(attn, own)
        name, value = next((n, v) for n, v in model.named_parameters() if "lora_B" in n)
        self.cut = name
        value.requires_grad_(True)
        value.register_hook(torch.zeros_like)
        return model


class Uphill(PeftSubject):
    """Every gradient points the wrong way."""

    def trainable(self, model: Any, name: str) -> dict[str, Any]:
        own = super().trainable(model, name)
        for value in own.values():
            value.register_hook(torch.neg)
        return own


@pytest.mark.parametrize(("kind", "said"), [(Unreached, "no gradient reaches 1 of"), (Uphill, "does not decrease")])
def test_training_that_goes_wrong(kind: type[PeftSubject], said: str) -> None:
    (row,) = examined(job(10), kind)
    assert row["status"] == "broken"
    assert said in row["detail"]


def test_what_raises_is_told_and_the_next_is_measured() -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("planted")

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(peft_model.PeftModel, "disable_adapter", broken))
        rows = examined(job(1, 7))
    assert [(row["number"], row["status"]) for row in rows] == [(1, "raised"), (7, "held")]
    assert rows[0]["error"] == {"type": "RuntimeError", "message": "planted"}
