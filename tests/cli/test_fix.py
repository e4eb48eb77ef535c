"""`adaptlint fix` as a process: what it says, what it leaves alone, how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import adaptlint as face
from tests.cli.running import adaptlint
from tests.repair.cases import LLAMA, copied, files_of, made

WRAPPED = {"op": "rename", "match": "^", "to": "_orig_mod."}


class Case:
    def __init__(self, folder: Path) -> None:
        built = made(folder, LLAMA, WRAPPED, target_modules=["q_proj", "v_proj", "k_proj"])
        self.model, self.adapter = built.model, Path(built.adapter)
        self.healthy = Path(made(folder / "healthy", LLAMA).adapter)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("fix"))


def test_a_diff_writes_nothing(case: Case, tmp_path: Path) -> None:
    place = copied(case.adapter, tmp_path / "adapter")
    done = adaptlint("fix", str(place), "--base", case.model, "--diff", "--unsafe")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    stem = "base_model.model.model.layers.{0-2}.self_attn"
    assert f"-_orig_mod.{stem}.q_proj.lora_A.weight" in lines
    assert f"+{stem}.q_proj.lora_A.weight" in lines
    assert '-    "k_proj"' in lines
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_the_copy_stands_beside_and_what_stays_is_told(case: Case, tmp_path: Path) -> None:
    place = copied(case.adapter, tmp_path / "adapter")
    done = adaptlint("fix", "adapter", "--base", case.model, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "proved: 12 tensors of the copy identical to the original, byte by byte" in done.stdout
    assert "error AL201 tensor-missing stays" in done.stdout
    assert "never repaired by itself: weights that are not in the file cannot be made" in done.stdout
    assert "offered, with --unsafe: set target_modules to the 6 modules" in done.stdout
    assert files_of(place) == files_of(case.adapter)
    again = adaptlint("fix", "adapter", "--base", case.model, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists already" in again.stderr
    whole = adaptlint("fix", "adapter-fixed", "--base", case.model, "--unsafe", "--in-place", cwd=tmp_path)
    assert whole.returncode == 0, whole.stdout
    assert "backup:" in whole.stdout
    assert adaptlint("check", case.model, str(tmp_path / "adapter-fixed"), "--fail-on", "note").returncode == 0


def test_nothing_to_repair(case: Case, tmp_path: Path) -> None:
    place = copied(case.healthy, tmp_path / "adapter")
    done = adaptlint("fix", str(place), "--base", case.model)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("adapter: nothing to repair.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_the_base_that_the_config_names_is_taken(case: Case, tmp_path: Path) -> None:
    place = copied(case.adapter, tmp_path / "adapter")
    config = json.loads((place / "adapter_config.json").read_text())
    (place / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": case.model}))
    done = adaptlint("fix", str(place))
    assert "rename 12 of 12 tensors" in done.stdout
    config["base_model_name_or_path"] = "nobody/no-such-model"
    (place / "adapter_config.json").write_text(json.dumps(config))
    unknown = adaptlint("fix", str(place), "--output", str(tmp_path / "other"))
    assert unknown.returncode == 3
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["adapter", "--output", "adapter/inner"], 2, "lies in adapter, which is left alone"),
        (["adapter", "--output", "there"], 2, "exists already"),
        (["adapter", "--output", "none/there"], 2, "does not exist"),
        (["adapter", "--output", "x", "--in-place"], 2, "exclude each other"),
        (["nowhere"], 3, "nowhere"),
        (["file"], 3, "file"),
        (["empty"], 1, "AL001"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(
    case: Case, arguments: list[str], status: int, said: str, tmp_path: Path
) -> None:
    copied(case.adapter, tmp_path / "adapter")
    (tmp_path / "there").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("{}")
    before = files_of(tmp_path)
    done = adaptlint("fix", *arguments, "--base", case.model, cwd=tmp_path)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert files_of(tmp_path) == before


def test_a_folder_that_cannot_be_written(case: Case, tmp_path: Path) -> None:
    copied(case.adapter, tmp_path / "adapter")
    done = adaptlint("fix", str(tmp_path / "adapter"), "--base", case.model, "--output", "/proc/fixed")
    assert done.returncode == 1
    assert "nothing can be written beside" in done.stdout


def test_what_leads_out_of_the_folder_is_not_followed(case: Case, tmp_path: Path) -> None:
    place = copied(case.adapter, tmp_path / "adapter")
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    (place / "notes.txt").symlink_to(secret)
    os.mkfifo(place / "pipe")
    done = adaptlint("fix", str(place), "--base", case.model, "--output", str(tmp_path / "fixed"))
    assert "not in the copy: notes.txt (symlink-outside)" in done.stdout
    assert "not in the copy: pipe (fifo)" in done.stdout
    assert sorted(files_of(tmp_path / "fixed")) == ["adapter_config.json", "adapter_model.safetensors"]


def test_a_snapshot_of_a_hub_cache_becomes_a_folder_of_files(case: Case, tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "models--x--y" / "snapshots" / "abc", tmp_path / "models--x--y" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for name, data in files_of(case.adapter).items():
        (blobs / f"blob-{name}").write_bytes(data)
        (snapshot / name).symlink_to(f"../../blobs/blob-{name}")
    refused = adaptlint("fix", str(snapshot), "--base", case.model, "--in-place")
    assert refused.returncode == 2
    assert "use --output" in refused.stderr
    adaptlint("fix", str(snapshot), "--base", case.model, "--output", str(tmp_path / "fixed"))
    assert not any(path.is_symlink() for path in (tmp_path / "fixed").iterdir())
    assert sorted(files_of(tmp_path / "fixed")) == sorted(files_of(case.adapter))


def test_the_current_folder(case: Case, tmp_path: Path) -> None:
    place = copied(case.adapter, tmp_path / "adapter")
    adaptlint("fix", ".", "--base", case.model, cwd=place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "adapter-fixed"]


@pytest.mark.parametrize("head", [b"\xff" * 8, (1 << 40).to_bytes(8, "little"), b"\x02\0\0\0\0\0\0\0{}"])
def test_weights_that_cannot_be_read_are_left_alone(case: Case, head: bytes, tmp_path: Path) -> None:
    place = copied(case.healthy, tmp_path / "adapter")
    (place / "adapter_model.safetensors").write_bytes(head)
    done = adaptlint("fix", str(place), "--base", case.model)
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_findings_say_what_fix_can_do(case: Case, tmp_path: Path) -> None:
    adapter = made(tmp_path, LLAMA, WRAPPED).adapter
    (finding,) = face.check(case.model, adapter).findings
    told = finding.to_dict()["fix"]
    assert told == {"safety": "safe", "summary": finding.fix[1] if finding.fix else ""}
    assert "torch.compile" in str(told)
    strange = made(tmp_path / "strange", LLAMA, {"op": "rename", "match": "q_proj", "to": "wq"}).adapter
    assert {finding.fix[0] for finding in face.check(case.model, strange).findings if finding.fix} == {"display"}
