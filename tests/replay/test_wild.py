"""What was found in the wild is found again, and the records are what the page says."""

from __future__ import annotations

import pytest

from tests.replay.wild import DOC, faults, name_of, rows, wild_page

pytest.importorskip("peft")
CASES = [
    ("laguna", "LagunaForCausalLM", "lora"),
    ("llama4_text", "Llama4ForCausalLM", "lora"),
    ("cohere2", "Cohere2ForCausalLM", "ia3"),
]


@pytest.mark.parametrize(("model_type", "name", "method"), CASES, ids=[case[0] for case in CASES])
def test_a_fault_of_the_newest_release_is_seen_again(model_type: str, name: str, method: str) -> None:
    from tests.replay.sweep import examined

    (record,) = (row for row in rows() if row["class"] == name and row["method"] == method)
    seen = examined("peft", method, ("causal", model_type, name), None)
    assert seen["versions"] == record["versions"], "another release: run `make sweep-invariants`"
    told = [(each["number"], each["status"], each["detail"]) for each in faults(record)]
    assert [(each["number"], each["status"], each["detail"]) for each in faults(seen)] == told
    assert told


def test_every_record_is_in_the_page_and_has_a_fault() -> None:
    text = DOC.read_text()
    assert text == wild_page()
    for row in rows():
        assert name_of(row) in text
        assert faults(row)
