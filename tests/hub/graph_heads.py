"""Classes with a head whose forwards are recorded too: the same configs, one table with the bare model's."""

from __future__ import annotations

from random import Random

from tests.hub.graph_specs import Sizes, Spec

HEADS = {
    "llama": ("LlamaForCausalLM",),
    "mistral": ("MistralForCausalLM",),
    "qwen2": ("Qwen2ForCausalLM",),
    "qwen3": ("Qwen3ForCausalLM",),
    "gemma2": ("Gemma2ForCausalLM",),
    "gemma3_text": ("Gemma3ForCausalLM",),
    "phi": ("PhiForCausalLM",),
    "gpt2": ("GPT2LMHeadModel",),
    "gptj": ("GPTJForCausalLM",),
    "t5": ("T5ForConditionalGeneration",),
    "mt5": ("MT5ForConditionalGeneration",),
    "bart": ("BartForConditionalGeneration",),
    "mbart": ("MBartForConditionalGeneration",),
    "whisper": ("WhisperForConditionalGeneration",),
    "bert": ("BertForSequenceClassification", "BertForMaskedLM", "BertForTokenClassification"),
    "roberta": ("RobertaForSequenceClassification", "RobertaForMaskedLM", "RobertaForTokenClassification"),
    "xlm-roberta": ("XLMRobertaForSequenceClassification", "XLMRobertaForMaskedLM", "XLMRobertaForTokenClassification"),
    "distilbert": ("DistilBertForSequenceClassification", "DistilBertForMaskedLM"),
    "deberta-v2": ("DebertaV2ForSequenceClassification",),
    "albert": ("AlbertForSequenceClassification",),
    "electra": ("ElectraForSequenceClassification",),
    "modernbert": ("ModernBertForSequenceClassification",),
    "vit": ("ViTForImageClassification",),
}
LABELLED = "Classification"


def headed(spec: Spec, model_class: str) -> Spec:
    """The spec of a class with a head; where it classifies, the number of labels is a size too."""
    if not model_class.endswith(LABELLED):
        return spec._replace(model_class=model_class)

    def sizes(rng: Random) -> Sizes:
        return {**spec.sizes(rng), "num_labels": rng.randrange(3, 60)}

    return spec._replace(model_class=model_class, sizes=sizes, least={**spec.least, "num_labels": 1})
