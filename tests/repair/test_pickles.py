"""Torch checkpoints become safetensors without being unpickled: the bytes are those that torch itself would load."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from adaptlint.repair import Outcome, Wish, repair
from tests.repair.cases import LLAMA, copied, files_of, made, same_effect, saw


def as_torch(folder: Path, **options: Any) -> dict[str, torch.Tensor]:
    """Turn a folder's weights into adapter_model.bin."""
    tensors = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    torch.save(tensors, folder / "adapter_model.bin", **options)
    return tensors


def fixed(folder: Path, output: Path, model: str | None = None, unsafe: bool = False) -> Outcome:
    outcome = repair(Wish(str(folder), model, output=str(output), unsafe=unsafe))
    assert isinstance(outcome, Outcome)
    return outcome


def test_a_checkpoint_with_wrappers_in_its_keys(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", LLAMA)
    for legacy in (False, True):
        broken = copied(healthy.adapter, tmp_path / f"broken-{legacy}")
        tensors = load_file(broken / "adapter_model.safetensors")
        (broken / "adapter_model.safetensors").unlink()
        wrapped = {f"_orig_mod.{name}": value for name, value in tensors.items()}
        torch.save(wrapped, broken / "adapter_model.bin", _use_new_zipfile_serialization=not legacy)
        place = tmp_path / f"fixed-{legacy}"
        outcome = fixed(broken, place, healthy.model)
        assert [step.kind for step in outcome.plan.steps] == ["weights", "keys"]
        assert sorted(files_of(place)) == ["adapter_config.json", "adapter_model.safetensors"]
        same_effect(saw(healthy.model, healthy.adapter), saw(healthy.model, place))


def test_views_and_other_orders_of_axes(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", LLAMA)
    folder = copied(healthy.adapter, tmp_path / "broken")
    tensors = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    shared = torch.stack([value for value in tensors.values() if value.shape == (4, 32)])
    views = iter(shared)
    laid = {
        name: next(views) if value.shape == (4, 32) else value.t().contiguous().t() for name, value in tensors.items()
    }
    assert not all(value.is_contiguous() for value in laid.values())
    torch.save(laid, folder / "adapter_model.bin")
    outcome = fixed(folder, tmp_path / "fixed", healthy.model)
    assert outcome.held == len(tensors)
    again = load_file(tmp_path / "fixed" / "adapter_model.safetensors")
    assert all(torch.equal(again[name], value) for name, value in tensors.items())
    same_effect(saw(healthy.model, healthy.adapter), saw(healthy.model, tmp_path / "fixed"))


def test_entries_that_are_no_tensors_are_asked_about(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", LLAMA)
    folder = Path(healthy.adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    torch.save({**tensors, "epoch": 3}, folder / "adapter_model.bin")
    shy = fixed(folder, tmp_path / "shy", healthy.model)
    assert shy.plan.steps == ()
    assert "epoch" in shy.plan.offered[0].summary
    assert fixed(folder, tmp_path / "fixed", healthy.model, unsafe=True).held == len(tensors)


class Opens:
    """A pickle that would write a file if it was run."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_a_pickle_that_would_run_code_is_left_alone(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", LLAMA)
    folder = Path(healthy.adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    for number, write in enumerate((torch.save, lambda value, path: path.write_bytes(pickle.dumps(value)))):
        write({**tensors, "state": Opens(tmp_path / "ran")}, folder / "adapter_model.bin")
        outcome = fixed(folder, tmp_path / f"fixed-{number}", healthy.model, unsafe=True)
        assert (outcome.plan.steps, outcome.kept) == ((), "")
        assert {"AL007", "AL008"} & {code for code, _ in outcome.never}
    assert not (tmp_path / "ran").exists()


def test_overlapping_elements_are_not_guessed_at(tmp_path: Path) -> None:
    healthy = made(tmp_path / "healthy", LLAMA)
    folder = Path(healthy.adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    name = next(iter(tensors))
    torch.save({**tensors, name: torch.zeros(1).expand(tensors[name].shape)}, folder / "adapter_model.bin")
    assert fixed(folder, tmp_path / "fixed", healthy.model).plan.steps == ()


DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int8, torch.bool]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=5),
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=5, max_size=5),
    turned=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_every_tensor_comes_through(
    shapes: list[list[int]], dtypes: list[torch.dtype], turned: bool, seed: int, tmp_path: Path
) -> None:
    number = len(list(tmp_path.iterdir()))
    folder = tmp_path / f"in-{number}"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    source = torch.Generator().manual_seed(seed)
    tensors = {
        f"t{i}": (torch.rand(shape, generator=source) * 100).to(dtype)
        for i, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=False))
    }
    if turned:
        tensors = {k: v.t().contiguous().t() if v.dim() == 2 else v for k, v in tensors.items()}
    torch.save(tensors, folder / "adapter_model.bin")
    outcome = fixed(folder, tmp_path / f"out-{number}")
    assert outcome.problem == ""
    again = load_file(tmp_path / f"out-{number}" / "adapter_model.safetensors")
    assert again.keys() == tensors.keys()
    for name, value in tensors.items():
        assert again[name].dtype == value.dtype
        assert torch.equal(again[name], value)
