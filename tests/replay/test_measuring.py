"""What a measurement must not take for a fault: rounding, a step that is too long, a base that mixes no tokens."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from peft.tuners.lora.layer import Linear  # noqa: E402

from adaptlint.replay.worker.invariants_state import _descent  # noqa: E402
from adaptlint.replay.worker.models import inputs_of  # noqa: E402
from adaptlint.replay.worker.subjects import PeftSubject  # noqa: E402
from tests.replay.small_bases import small_base  # noqa: E402
from tests.replay.sweep import job_of  # noqa: E402
from tests.replay.test_invariants import DELTA, examined, job  # noqa: E402


class Sensitive(PeftSubject):
    """A base whose logits make five hundred of every last digit."""

    def base(self, attn: str | None = None, own: bool = False) -> Any:
        model = super().base(attn, own)
        model.register_forward_hook(self.steep)
        return model

    def steep(self, _: Any, __: Any, result: Any) -> Any:
        result.logits = result.logits + 0.05 * torch.sin(1e4 * result.logits)
        return result


def test_rounding_is_no_fault_of_a_model_that_makes_much_of_it() -> None:
    """The merged update differs in its last digits."""
    with mock.patch.object(Linear, "get_delta_weight", lambda self, adapter: DELTA(self, adapter) * (1 + 5e-6)):
        (row,) = examined(job(9), Sensitive)
    assert row["status"] == "held", row
    assert 1e-4 < row["measured"] < row["tolerance"]


def test_a_fault_stands_out_of_it() -> None:
    with mock.patch.object(Linear, "get_delta_weight", lambda self, adapter: 1.5 * DELTA(self, adapter)):
        (row,) = examined(job(9), Sensitive)
    assert row["status"] == "broken", row
    assert row["measured"] > row["tolerance"] > 1e-4


class Chaotic(Sensitive):
    """A base of whose logits nothing but rounding is left."""

    def steep(self, _: Any, __: Any, result: Any) -> Any:
        result.logits = torch.sin(1e6 * result.logits)
        return result


def test_where_rounding_is_all_that_is_left_nothing_is_said() -> None:
    (row,) = examined(job(9), Chaotic)
    assert row["status"] == "skipped", row
    assert row["detail"].startswith("rounding alone moves its output by")


class Dropping(PeftSubject):
    """An adapter that does not answer the same twice."""

    def wrapped(self, attn: str | None = None, own: bool = False) -> Any:
        model = super().wrapped(attn, own)
        model.get_base_model().model.layers[0].register_forward_hook(
            lambda _, __, result: torch.nn.functional.dropout(result, 0.5)
        )
        return model


def test_chance_is_not_taken_for_rounding() -> None:
    (row,) = examined(job(7), Dropping)
    assert (row["status"], row["tolerance"]) == ("broken", 1e-4), row


class Blind(PeftSubject):
    """A base whose attention starts with an answer of zero, which its adapter changes."""

    def base(self, attn: str | None = None, own: bool = False) -> Any:
        model = super().base(attn, own)
        for layer in model.model.layers:
            layer.self_attn.register_forward_hook(lambda _, __, result: (0 * result[0], *result[1:]))
        return model


def test_a_base_that_mixes_no_tokens_is_not_called_causal() -> None:
    (row,) = examined(job(2), Blind)
    assert (row["status"], row["detail"]) == ("skipped", "no token of the base sees another one yet")


def test_a_step_that_is_too_long_is_taken_back() -> None:
    value = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    aim = value.detach() * (1 - 3e-4)
    losses, reached = _descent({"value": value}, lambda: (value - aim).pow(2).sum())
    assert losses[1] > losses[0] > min(losses)
    assert reached == {"value"}


@pytest.mark.parametrize("mask", [None, "padded"])
@pytest.mark.parametrize(
    ("model_type", "name"), [("bart", "BartForSequenceClassification"), ("t5", "T5ForSequenceClassification")]
)
def test_texts_of_a_classifier_beside_an_encoder_end(model_type: str, name: str, mask: str | None) -> None:
    """Without an end in each text, and as many in all, these classes raise, whatever the adapter."""

    def asked(config: dict[str, Any]) -> dict[str, Any]:
        made = job_of("peft", config, name, "")
        made["conditions"]["mask"] = mask
        return made

    config, model = small_base(model_type, name, asked)
    words = inputs_of(model, asked(config))["input_ids"]
    assert (words == model.config.eos_token_id).sum(1).tolist() == [1, 1]
