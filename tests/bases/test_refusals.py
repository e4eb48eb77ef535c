"""What cannot be built is told with a reason, never with a traceback, and soon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adaptlint.bases import Base, BaseProblem, load_base
from tests.adapters import write_adapter
from tests.cli.running import adaptlint


def problem(path: Path, **wanted: Any) -> BaseProblem:
    found = load_base(str(path), **wanted)
    assert isinstance(found, BaseProblem), found
    return found


def written(folder: Path, root: Path, **changes: Any) -> Path:
    config = json.loads((root / "fixtures" / "bases" / "tiny-llama" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def test_nothing_there(tmp_path: Path) -> None:
    assert problem(tmp_path / "absent").reason == "base-not-found"
    assert problem(tmp_path).reason == "base-config-missing"
    assert load_base("no/such-model-here", offline=True)[0] == "base-not-found"


def test_a_relative_path_is_a_folder_and_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert load_base("../../etc", offline=True)[0] == "base-config-missing"


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", "{", '"llama"'])
def test_a_config_that_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    assert problem(tmp_path).reason == "base-config-malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 10**9},
        {"num_labels": 10**9},
        {"hidden_size": 10**30},
        {"layer_types": ["full_attention"] * 5000},
        {"text_config": {"num_hidden_layers": 10**9}},
    ],
)
def test_absurd_sizes_are_refused_before_a_build(changes: dict[str, Any], root: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    found = problem(written(tmp_path, root, **changes))
    assert found.reason == "base-too-large"
    assert found.at is not None
    assert found.at.file.endswith("config.json")


def test_experts_that_are_rows_of_an_embedding_are_no_modules(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = {**transformers.DogeConfig(num_hidden_layers=1).to_dict(), "architectures": ["DogeForCausalLM"]}
    assert config["num_experts"] == 16_384
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert isinstance(load_base(str(tmp_path)), Base)


def test_a_vocabulary_of_byte_groups_is_no_count_of_groups(root: Path, tmp_path: Path) -> None:
    """BltConfig has 500,002 of them by default (transformers 5.23)."""
    pytest.importorskip("transformers")
    assert isinstance(load_base(str(written(tmp_path, root, encoder_hash_byte_group_vocab=500_002))), Base)


def test_an_infinite_limit_is_read_as_transformers_saves_it(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_heads": 4, "head_dim": 8, "num_hidden_layers": 1, "state_size": 4, "n_groups": 1}
    transformers.Mamba2Config(**sizes, vocab_size=32).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps(
            {**written, "architectures": ["Mamba2ForCausalLM"], "time_step_limit": [0.0, {"__float__": "Infinity"}]}
        )
    )
    assert isinstance(load_base(str(tmp_path)), Base)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "wide"},
        {"hidden_size": -4},
        {"num_attention_heads": 0},
        {"vocab_size": None},
        {"hidden_act": "no-such-function"},
        {"rope_scaling": {"rope_type": "nonsense"}, "rope_parameters": {"rope_type": "nonsense"}},
    ],
)
def test_values_that_transformers_refuses(changes: dict[str, Any], root: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    found = problem(written(tmp_path, root, **changes))
    assert found.reason == "base-build-failed"
    assert found.facts["type"]
    assert found.facts["message"]


@pytest.mark.parametrize(
    ("changes", "wanted", "fault"),
    [
        ({"model_type": "from_the_future"}, {}, "model-type-unknown"),
        ({"model_type": ["llama"]}, {}, "model-type-missing"),
        ({"model_type": None, "architectures": None}, {}, "model-type-missing"),
        ({}, {"model_class": "pipeline"}, "class-not-in-transformers"),
        ({}, {"model_class": "AutoModelForNothing"}, "class-not-in-transformers"),
        ({}, {"model_class": "PreTrainedModel"}, "class-not-in-transformers"),
        ({}, {"model_class": "AutoModelForSpeechSeq2Seq"}, "model-type-without-class"),
    ],
)
def test_classes_that_are_not_known(
    changes: dict[str, Any], wanted: dict[str, str], fault: str, root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    found = problem(written(tmp_path, root, auto_map={"AutoModel": "a.B"}, **changes), **wanted)
    assert (found.reason, found.facts["fault"]) == ("base-class-unknown", fault)
    assert found.facts["auto_map"] is True


def test_without_torch_the_extra_is_named(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = problem(written(tmp_path, root, model_type="from_the_future"))
    assert (found.reason, found.facts) == ("models-extra-missing", {"missing": ["torch", "transformers"]})


def test_a_hub_id_in_the_local_cache(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--maker--tiny"
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abcd")
    written(snapshot, root)
    base = load_base("maker/tiny")
    assert isinstance(base, Base)
    assert base.ref == "maker/tiny"
    (repository / "refs" / "main").write_text("../../..")
    assert isinstance(load_base("maker/tiny"), BaseProblem)


def test_a_hub_that_has_no_address_here_is_not_asked_again_and_again(tmp_path: Path) -> None:
    """A mistyped path looks like a hub name; without a network the answer comes from the resolver alone."""
    pytest.importorskip("huggingface_hub")
    adapter = write_adapter(tmp_path / "adapter")
    nowhere = {"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": "https://hub.invalid"}
    done = adaptlint("check", "my-base", str(adapter), cwd=tmp_path, env=nowhere)
    assert done.returncode == 3
    assert "my-base is neither a file nor a folder here nor in the hub cache" in " ".join(done.stdout.split())
    assert "hub.invalid" in done.stdout
    assert "Retry" not in done.stderr
