"""The adapter_config.json that PEFT opens, and what it says when there is none."""

from __future__ import annotations

from adaptlint.artefacts import Document, Malformed
from adaptlint.findings import Fact, Where
from adaptlint.graph import Adapter
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.weights import refused_file

CONFIG = "adapter_config.json"


def open_config(adapter: Adapter) -> Document:
    """The parsed config; Refusal or NotModelled where PEFT cannot read one."""
    config = adapter.config
    if isinstance(config, Document):
        return config
    if config is None or config.reason in ("missing-file", "not-a-regular-file"):  # os.path.isfile
        raise _config_missing(adapter, config)
    raise refused_file(config)


def _config_missing(adapter: Adapter, config: Malformed | None) -> Refusal | NotModelled:
    """PEFT takes a folder without a config for a hub name, and says in the end that it cannot find it."""
    folder = adapter.folder
    if isinstance(folder, Malformed):
        if folder.reason == "folder-too-large":
            return refused_file(folder)
        facts: dict[str, Fact] = {"fault": folder.reason, "file": "The adapter's folder"}
    else:
        found = [*folder.names, *(f"{name} ({kind})" for name, kind in folder.odd.items())]
        facts = {"found": found[:20] or ["nothing"]}
        if config is not None:
            facts = {"fault": config.reason, **config.facts, "file": CONFIG}
    match = "Can't find 'adapter_config.json'"
    return Refusal("ValueError", match, "adapter-config-missing", at=Where(adapter.path), facts=facts)
