"""`--full`: the base's own weights are what is run, and what is wrong with them is no fault of the adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")

from safetensors.torch import load_file, save_file  # noqa: E402

from adaptlint.bases import load_base  # noqa: E402
from adaptlint.replay.conduct import base_of, job_of  # noqa: E402
from adaptlint.replay.plan import Run, Settings, plan  # noqa: E402
from adaptlint.replay.worker.models import build  # noqa: E402
from tests.cli.running import adaptlint  # noqa: E402
from tests.replay import adapters  # noqa: E402
from tests.replay.oracle import report_of  # noqa: E402

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base of a healthy case, saved in shards by transformers itself."""
    folder = tmp_path_factory.mktemp("saved") / "base"
    config = transformers.AutoConfig.from_pretrained(adapters.arguments(adapters.HEALTHY)[0])
    torch.manual_seed(2)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / INDEX).exists()
    return folder


@pytest.fixture
def base(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(saved, tmp_path / "base")


def run(base: Path, record: Path, *more: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The verdict's mark, the last entry of the record, and what was said meanwhile."""
    adapter = adapters.arguments(adapters.HEALTHY)[1]
    given = [str(base), adapter, "--replay", "--all", "--full", "--record", str(record), "--format", "json", *more]
    done = adaptlint("check", *given)
    (verdict,) = json.loads(done.stdout)["verdicts"]
    assert verdict["outcome"] == "works"
    return verdict["replay"], json.loads(record.read_text())["runs"][-1], done.stderr


def test_a_healthy_adapter_on_a_saved_base_in_shards(base: Path, tmp_path: Path) -> None:
    mark, entry, said = run(base, tmp_path / "run.json", "--dtype", "bfloat16")
    assert (mark["status"], entry["scale"], entry["status"]) == ("confirmed", "full", "done")
    assert "the whole model with its weights, bfloat16 on cpu" in said


def spoilt(base: Path) -> None:
    for path in base.glob("*.safetensors"):
        save_file({key: value * float("nan") for key, value in load_file(path).items()}, path, {"format": "pt"})


def cut(base: Path) -> None:
    path = max(base.glob("*.safetensors"), key=lambda each: each.stat().st_size)
    path.write_bytes(path.read_bytes()[:-100])


def lost(base: Path) -> None:
    sorted(base.glob("*.safetensors"))[-1].unlink()


@pytest.mark.parametrize(
    ("damage", "status", "said"),
    [
        (spoilt, "done", "the base alone answers with what is no number"),
        (cut, "refused", "the base's own weights cannot be read (SafetensorError"),
        (lost, "refused", "the base's own weights cannot be read (FileNotFoundError"),
    ],
)
def test_a_damaged_base_decides_nothing(
    damage: Callable[[Path], None], status: str, said: str, base: Path, tmp_path: Path
) -> None:
    damage(base)
    mark, entry, _ = run(base, tmp_path / "run.json")
    assert (mark["status"], entry["status"]) == ("inconclusive", status)
    assert said in mark["observed"]
    assert str(base) not in json.dumps(entry)


def test_a_run_with_other_weights_is_not_taken_for_this_one(base: Path, tmp_path: Path) -> None:
    record = tmp_path / "run.json"
    _, first, _ = run(base, record)
    _, again, _ = run(base, record, "--resume", "--python", "/nowhere/python")
    assert again == first
    spoilt(base)
    mark, _, _ = run(base, record, "--resume")
    assert mark["status"] == "inconclusive"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_weights_are_held_in_the_type_that_is_asked_for(dtype: str, saved: Path) -> None:
    report = report_of(adapters.SAMPLE, adapters.HEALTHY)
    settings = Settings(all=True, full=True, dtype=dtype)
    (planned,) = (each for each in plan(report, base_of(report), settings) if isinstance(each, Run))
    model = build(job_of(report, planned._replace(weights=str(saved)), settings))
    own = transformers.AutoModelForCausalLM.from_pretrained(saved).state_dict()
    assert {value.dtype for value in model.parameters()} == {getattr(torch, dtype)}
    assert all(value.equal(own[key].to(value.dtype)) for key, value in model.state_dict().items())


def test_a_type_that_the_config_names_costs_what_it_takes(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    report, halved = report_of(adapters.SAMPLE, adapters.HEALTHY), load_base(str(base))

    def memory(dtype: str) -> int:
        (run,) = (each for each in plan(report, halved, Settings(all=True, dtype=dtype)) if isinstance(each, Run))
        return run.cost.memory

    assert memory("auto") == memory("bfloat16") < memory("float32")
