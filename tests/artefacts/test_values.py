"""Tensor values from bytes, compared with torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptlint.artefacts import TensorFile, ValueRow, read_tensors, scan_values

torch = pytest.importorskip("torch")
FLOATS = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
]


def opened(path: Path, value: dict[str, object]) -> TensorFile:
    from safetensors.torch import save_file

    if path.suffix == ".bin":
        torch.save(value, path)
    else:
        save_file(value, path)
    file = read_tensors(str(path))
    assert isinstance(file, TensorFile)
    return file


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_nonfinite_and_zero_as_torch_counts(dtype: str, suffix: str, tmp_path: Path) -> None:
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(3)
    width = torch.empty(0, dtype=kind).element_size()
    noise = torch.randint(0, 256, (4096 * width,), generator=generator, dtype=torch.uint8).view(kind)
    value = {
        "noise": noise,
        "plain": torch.randn(999, generator=generator).to(kind),
        "zero": torch.zeros(70, dtype=kind),
        "minus": torch.zeros(70).to(kind) if "fnuz" in dtype else (-torch.zeros(70)).to(kind),
        "nan": torch.full((3, 5), float("nan")).to(kind),
    }
    file = opened(tmp_path / f"a{suffix}", value)
    rows = scan_values(file, file.tensors, full=True)
    for name, tensor in value.items():
        wide = tensor.to(torch.float64)
        expected = ValueRow(int((~wide.isfinite()).sum()), bool((wide == 0).all()), tensor.numel())
        assert rows[name] == expected, name


def test_integers_booleans_complex_and_empty(tmp_path: Path) -> None:
    value = {
        "int": torch.tensor([0, 3]),
        "none": torch.zeros(4, dtype=torch.int32),
        "no": torch.zeros(4, dtype=torch.bool),
        "complex": torch.tensor([complex(0, float("inf")), 1]),
        "empty": torch.empty(0, 4),
    }
    rows = scan_values(file := opened(tmp_path / "a.safetensors", value), file.tensors, full=False)
    assert rows == {
        "int": ValueRow(0, False, 2),
        "none": ValueRow(0, True, 4),
        "no": ValueRow(0, True, 4),
        "complex": ValueRow(1, False, 2),
        "empty": ValueRow(0, True, 0),
    }


def test_sample_looks_at_head_middle_and_tail(tmp_path: Path) -> None:
    spots = {"head": 0, "middle": 500_000, "tail": 999_999, "between": 200_000}
    value = {name: torch.ones(1_000_000).index_fill_(0, torch.tensor([at]), float("inf")) for name, at in spots.items()}
    file = opened(tmp_path / "a.safetensors", value)
    sample, full = (scan_values(file, file.tensors, full) for full in (False, True))
    assert {name: row.nonfinite for name, row in sample.items()} == {"head": 1, "middle": 1, "tail": 1, "between": 0}
    assert all(row.nonfinite == 1 and row.looked_at == 1_000_000 for row in full.values())
    assert sample["head"].looked_at == 3072


def test_what_cannot_be_looked_at_is_absent(tmp_path: Path) -> None:
    file = opened(tmp_path / "a.bin", {"view": torch.ones(10, 10)[:, ::3], "turned": torch.zeros(3, 4).t()})
    assert scan_values(file, ["view", "turned", "unknown"], full=True) == {"turned": ValueRow(0, True, 12)}
    (tmp_path / "a.bin").unlink()
    assert scan_values(file, ["turned"], full=True) == {}


def test_start_up_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import sys, adaptlint.artefacts as a; a.read_json('x'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "zipfile",
        "pickletools",
        "pickle",
        "tarfile",
        "dataclasses",
        "pathlib",
        "logging",
        "inspect",
        "torch",
        "numpy",
    }
    assert not heavy & set(loaded)
    assert not [name for name in loaded if name.startswith("adaptlint.artefacts.torch")]
