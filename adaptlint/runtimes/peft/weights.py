"""The weight file that PEFT opens, and what it says of one that it cannot read (save_and_load.load_peft_weights)."""

from __future__ import annotations

import os

from adaptlint.artefacts import Folder, Malformed, TensorFile
from adaptlint.findings import Fact, Fault, Where
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

SAFETENSORS = "adapter_model.safetensors"
TORCH = "adapter_model.bin"


def weights_name(folder: Folder) -> str | None:
    """The file that PEFT loads from this folder: safetensors before the torch checkpoint, and no other name."""
    for name in (SAFETENSORS, TORCH):
        if name in folder.names or folder.odd.get(name, "symlink-dangling") != "symlink-dangling":  # os.path.exists
            return name
    return None


def open_weights(folder: Folder | Malformed) -> tuple[TensorFile, list[Fault]]:
    """The tensors of the adapter, with what is odd about the choice; Refusal or NotModelled when it cannot load."""
    if isinstance(folder, Malformed):
        raise refused_file(folder)
    name = weights_name(folder)
    if name is None:
        raise Refusal(
            "HFValidationError",
            "Repo id must be in the form 'repo_name' or 'namespace/repo_name'",
            "weights-missing",
            at=Where(folder.path),
            facts={"found": sorted(folder.names)[:20]},
        )
    weights = folder.tensors(name)
    if isinstance(weights, Malformed):
        raise refused_file(weights)
    notes = []
    if name == SAFETENSORS and TORCH in folder.names:
        notes.append(Fault("two-weight-files", at=Where(weights.path), facts={"used": name, "unused": TORCH}))
    if weights.duplicates:
        notes.append(
            Fault(
                "tensor-name-repeated", at=Where(weights.path), facts={"names": list(weights.duplicates), "file": name}
            )
        )
    return weights, notes


def refused_file(file: Malformed) -> Refusal | NotModelled:
    """What the library raises for a malformed file, or that it is not known.

    Two facts more than the file's own say it in words: `raises` ("PEFT raises SafetensorError") and `quoted`, the
    exception's text after a colon, empty where it is not known.
    """
    at = Where(file.path)
    error, text = file.facts.get("library_type"), file.facts.get("library_error")
    facts: dict[str, Fact] = {k: v for k, v in file.facts.items() if not k.startswith("library_")}
    facts["file"] = os.path.basename(file.path)
    if isinstance(error, str) and isinstance(text, str):
        facts["raises"] = f"PEFT raises {error}"
        detail = file.facts.get("library_detail")
        facts["quoted"] = f": {text}" + (f" ({detail})" if detail else "") if text else ""
        return Refusal(error, text, file.reason, at=at, facts=facts)
    facts |= {"raises": "What PEFT makes of it is not known here", "quoted": ""}
    return NotModelled(file.reason, at=at, facts=facts)
