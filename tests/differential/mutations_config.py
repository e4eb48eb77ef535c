"""What happens to an adapter's config on its way to a user: each function is one way, and its name is its id."""

from __future__ import annotations

from tests.differential.folder_state import Folder

# The field that a mutation needs: it is done to the configs of methods that have it.
NEEDS = {
    "rank_changed": "r",
    "rank_odd": "r",
    "rank_missing": "r",
    "rank_pattern_lost": "rank_pattern",
    "rank_pattern_added": "rank_pattern",
    "alpha_pattern_idle": "alpha_pattern",
    "alpha_odd": "lora_alpha",
    "target_dropped": "target_modules",
    "target_added": "target_modules",
    "target_nothing": "target_modules",
    "target_odd": "target_modules",
    "exclude_added": "exclude_modules",
    "dora_toggled": "use_dora",
    "rslora_toggled": "use_rslora",
    "bias_changed": "bias",
    "init_changed": "init_lora_weights",
    "layers_outside": "layers_to_transform",
    "layers_pattern_added": "layers_pattern",
    "replication_added": "layer_replication",
    "tokens_added": "trainable_token_indices",
}
OF_ALL = ("peft_type", "task_type", "inference_mode", "revision", "peft_version", "base_model_name_or_path", "bias")


def own_fields(f: Folder, *types: type) -> list[str]:
    """Fields of the method itself that hold a value of one of these types."""
    return [name for name, value in f.config.items() if type(value) in types and name not in OF_ALL]


def number_changed(f: Folder) -> None:
    name = f.source.choice(own_fields(f, int, float) or ["revision"])
    value = f.config[name]
    f.config[name] = f.source.choice([value + 1, value * 2, 1]) if value else 1


def number_odd(f: Folder) -> None:
    name = f.source.choice(own_fields(f, int, float) or ["revision"])
    f.config[name] = f.source.choice([0, -1, None, "8", 2.5, [4], 1001])


def switch_flipped(f: Folder) -> None:
    name = f.source.choice(own_fields(f, bool) or ["inference_mode"])
    f.config[name] = not f.config[name]


def word_changed(f: Folder) -> None:
    name = f.source.choice(own_fields(f, str) or ["revision"])
    f.config[name] = f.source.choice(["no_such", "", None, 3])


def field_lost(f: Folder) -> None:
    f.config.pop(f.source.choice(own_fields(f, int, float, bool, str, list, dict) or ["revision"]))


def pattern_added(f: Folder) -> None:
    name = f.source.choice([name for name in f.config if name.endswith("_pattern")] or ["revision"])
    f.config[name] = f.source.choice([{f.module(): 3}, {"no_such_module": 3}, {f"^.*{f.module()}": 6}])


def rank_changed(f: Folder) -> None:
    f.config["r"] = (f.config["r"] or 0) + 1


def rank_odd(f: Folder) -> None:
    f.config["r"] = f.source.choice([0, -1, None, "8", 4.0, [4]])


def rank_missing(f: Folder) -> None:
    f.config.pop("r")


def rank_pattern_lost(f: Folder) -> None:
    f.config["rank_pattern"] = {}


def rank_pattern_added(f: Folder) -> None:
    f.config["rank_pattern"] = {f.module(): 7}


def alpha_pattern_idle(f: Folder) -> None:
    f.config["alpha_pattern"] = {"no_such_module": 3}


def alpha_odd(f: Folder) -> None:
    f.config["lora_alpha"] = f.source.choice([0, None, "16", 1.5, -4])


def target_dropped(f: Folder) -> None:
    targets = f.config["target_modules"]
    if isinstance(targets, list) and targets:
        targets.remove(f.source.choice(targets))


def target_added(f: Folder) -> None:
    targets = f.config["target_modules"]
    if isinstance(targets, list):
        targets.append(f.source.choice(["no_such_proj", "down_proj", "dense", "fc1", "lm_head", "c_proj"]))


def target_nothing(f: Folder) -> None:
    f.config["target_modules"] = f.source.choice([["no_such_proj"], "no_such_proj", [], "q_proj", ".*no_such"])


def target_odd(f: Folder) -> None:
    f.config["target_modules"] = f.source.choice([None, "(", "all-linear", ["all-linear"], {"q_proj": 1}, 5])


def exclude_added(f: Folder) -> None:
    leaf = f.module()
    f.config["exclude_modules"] = f.source.choice([[leaf], rf".*\.0\..*{leaf}", ["no_such_module"], ".*"])


def save_added(f: Folder) -> None:
    f.config["modules_to_save"] = f.source.choice(
        [["lm_head"], ["classifier"], ["no_such"], ["embed_tokens"], ["norm"]]
    )


def save_lost(f: Folder) -> None:
    f.config["modules_to_save"] = None


def task_changed(f: Folder) -> None:
    f.config["task_type"] = f.source.choice(
        [None, "CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION", "TEXT_GEN"]
    )


def dora_toggled(f: Folder) -> None:
    f.config["use_dora"] = not f.config["use_dora"]


def rslora_toggled(f: Folder) -> None:
    f.config["use_rslora"] = not f.config["use_rslora"]


def bias_changed(f: Folder) -> None:
    own = f"{f.config['peft_type']}_only".lower()
    f.config["bias"] = f.source.choice(["none", "all", own, "lora_only", "some", None])


def init_changed(f: Folder) -> None:
    f.config["init_lora_weights"] = f.source.choice(["gaussian", False, "corda", "eva", "no_such", "pissa", None])


def layers_outside(f: Folder) -> None:
    f.config["layers_to_transform"] = f.source.choice([[9], [0], 0, [], [0, 9], 9])


def layers_pattern_added(f: Folder) -> None:
    f.config["layers_pattern"] = f.source.choice(["layers", "h", ["layer"], []])
    if f.source.random() < 0.6:
        f.config["layers_to_transform"] = [0, 1]


def replication_added(f: Folder) -> None:
    f.config["layer_replication"] = [[0, 1], [0, 2]]


def tokens_added(f: Folder) -> None:
    f.config["trainable_token_indices"] = f.source.choice([[1, 2], [500], {"no_such": [1]}])


def type_changed(f: Folder) -> None:
    f.config["peft_type"] = f.source.choice(["lora", "BONE", None, "NO_SUCH", "LORA", "VERA", "PROMPT_TUNING"])


def type_missing(f: Folder) -> None:
    f.config.pop("peft_type")


def keys_unknown(f: Folder) -> None:
    f.config.update({"from_the_future": True, "enable_lora": None})


def config_old(f: Folder) -> None:
    for key in list(f.config):
        if f.config[key] in (None, {}, False) and key not in ("task_type", "target_modules"):
            del f.config[key]


def harmless(f: Folder) -> None:
    f.config.update(inference_mode=False, base_model_name_or_path=None, lora_dropout=0.1, revision="main")
