"""What there is to say about one load of an AdapterHub adapter that did not raise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adaptlint.artefacts import TensorFile
from adaptlint.findings import Fact, Fault, Where
from adaptlint.runtimes.adapters.loading import Loaded
from adaptlint.runtimes.adapters.placing import Held

LISTED = 6  # tensors that a finding names
SHARED = "shared_parameters."
PROMPTS = ".prompt_tunings."


def faults_of_load(
    held: Mapping[str, Held], file: TensorFile, result: Loaded, names: tuple[str, str], saved_for: Mapping[str, Fact]
) -> Iterator[Fault]:
    """The faults of a load; `names` are that in the adapter's config and the one it is loaded as."""
    at = Where(file.path)
    renamed = names[0] != names[1] and any(PROMPTS in key for key in result.left)
    if held and not result.arrived and not renamed:
        told: dict[str, Fact] = {"has": listed(list(file.tensors)), "wanted": listed(list(held)), **saved_for}
        yield Fault("hub-nothing-arrives", at=at, facts={"of": len(file.tensors), **told}, decides=True)
        return
    if renamed:
        facts: dict[str, Fact] = {"saved_as": names[0], "loaded_as": names[1]}
        yield Fault("hub-prompt-renamed", at=at, facts=facts, decides=True)
    shared = [key for key in result.left if SHARED in key]
    if shared:
        told = {"number": len(shared), "names": listed(shared), **saved_for}
        yield Fault("hub-shared-not-saved", at=at, facts=told, decides=True)
    left = [key for key in result.left if key not in shared and not (renamed and PROMPTS in key)]
    if left:
        owners = len({row.owner for row in held.values()})
        told = {"filled": owners - len(left) - len(shared), "of": owners, "names": listed(left)}
        yield Fault("hub-tensor-missing", at=at, facts=told, decides=True)
    ignored = [key for key in result.ignored if not (renamed and PROMPTS in f".{key}")]
    if ignored:
        told = {"number": len(ignored), "of": len(file.tensors), "names": listed(ignored)}
        yield Fault("hub-tensor-ignored", at=at, facts=told, decides=True)


def listed(keys: Sequence[str]) -> list[str]:
    """The first of many names, and how many more there are."""
    more = [f"{len(keys) - LISTED} more"] if len(keys) > LISTED else []
    return [*keys[:LISTED], *more]
