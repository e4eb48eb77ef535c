"""The plain JSON object that a build leaves, a lock and a cache entry carry, and a `Base` reads.

    model_type, model_class       the config's type, the transformers class's name
    made_with                     {"transformers": release, "torch": release}
    config                        the config with the class's defaults filled in
    tree                          folded modules (see folded.py)
    ties                          [[first, other], ...]
    aliases                       {further path of a shared module: the path it is listed under}
    input_embedding, output_embedding   module paths or null
    transforms                    transformers' weight transforms, in order (see `Transform` fields below)
    features                      what the class answers:
        chosen_by                 "asked" | "architectures" | "auto_map" | "guess"
        answers_to                Auto classes that give this class for this model type
        base_model_prefix, prepare_inputs_for_generation, can_generate, is_encoder_decoder, tie_word_embeddings,
        text_tie_word_embeddings, tied_weights_keys, quantization (absent for plain weights), dtype
        converts_adapters         transformers registers a conversion under this model type
        conversion_family         the model type whose conversion it shares, absent for its own
        attention                 backends that the class and all its parts support, "eager" first; absent: unknown
        attention_refused_by      {backend: class}, where not the class itself but a part of it refuses
        flash_kernels             the only kernels that are taken for flash attention; absent where there is no list
        pools_last_token          true for a classifier that reads off at each text's last token
        inferred                  true where kinds were guessed from tensor names; no class was looked at
        input_embedding_error, output_embedding_error   [exception type, text], only where asking raises

A transform: {"op": "rename" | "convert", "class", "sources", "targets", "operations": [{"name", **arguments}],
"scope", "prefix"} and what its class adds (`offset`); patterns as transformers keeps them after its own processing.
"""

from __future__ import annotations

from adaptlint.hints import Any

FORMAT = 1
"""Goes up when a build records something else; older cache entries and locks are then made anew."""

NOTED = 2
"""Goes up when a build notes more than before: older cache entries are made anew, and older locks know less."""

_FIELDS: dict[str, tuple[type, ...]] = {
    "model_type": (str, type(None)),
    "model_class": (str, type(None)),
    "made_with": (dict,),
    "config": (dict,),
    "tree": (dict,),
    "ties": (list,),
    "aliases": (dict,),
    "input_embedding": (str, type(None)),
    "output_embedding": (str, type(None)),
    "transforms": (list,),
    "features": (dict,),
}


def is_record(value: object) -> bool:
    """True if `value` has every field of a record, each of its type."""
    return isinstance(value, dict) and all(isinstance(value.get(name, 0), kinds) for name, kinds in _FIELDS.items())


def empty_record() -> dict[str, Any]:
    """A record about nothing, for bases known by their headers alone."""
    return {
        "model_type": None,
        "model_class": None,
        "made_with": {},
        "config": {},
        "tree": {"class": ""},
        "ties": [],
        "aliases": {},
        "input_embedding": None,
        "output_embedding": None,
        "transforms": [],
        "features": {},
    }
