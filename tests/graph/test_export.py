"""The module graph as text."""

from __future__ import annotations

import io
import json
import re

import networkx

from adaptlint.graph import export
from tests.graph.bases import decoder, module

HOSTILE = 'x"]\n\x1b[31m<b>\u202e'


def test_tree_folds_layers_and_tells_shapes_and_ties() -> None:
    assert export.tree(decoder(layers=4, odd_layer=3)) == [
        "TinyForCausalLM  (tiny, shapes from lock, transformers 5.23.0)",
        "  model: TinyModel",
        "    embed_tokens: Embedding  weight [100, 64]  (input embedding)",
        "    layers: ModuleList",
        "      {0-2}: TinyLayer x 3",
        "        q_proj: Linear  weight [64, 64]  bias [64]",
        "      3: TinyLayer",
        "        q_proj: Linear  weight [32, 64]  bias [32]",
        "  lm_head: Linear  weight [100, 64]  = model.embed_tokens.weight  (output embedding)",
        "12 modules, 20,960 parameters (tied ones once)",
    ]


def test_json_lists_every_module() -> None:
    base = decoder()
    document = json.loads(export.as_json(base))
    assert [entry["path"] for entry in document["modules"]] == ["", *(found.path for found in base.modules)]
    assert document["modules"][-1]["params"] == {"weight": [100, 64]}
    assert document["ties"] == [["model.embed_tokens.weight", "lm_head.weight"]]
    assert document["parameters"] == 100 * 64 + 3 * (64 * 64 + 64)


def test_graphml_can_be_read_back() -> None:
    text = "\n".join(export.graphml(decoder(extra=(module(HOSTILE, "Linear", weight=(1, 2)),))))
    graph = networkx.read_graphml(io.BytesIO(text.encode()))
    assert json.loads(graph.nodes["model.layers.1.q_proj"]["params"])["weight"] == [64, 64]
    assert json.loads(graph.edges["model.embed_tokens", "lm_head"]["ties"])


def test_dot_and_mermaid_hold_one_statement_a_line_whatever_the_names() -> None:
    base = decoder(extra=(module(HOSTILE, HOSTILE, weight=(1, 2)),))
    for line in export.dot(base)[1:-1]:
        assert re.fullmatch(
            r'  (rankdir=LR;|node \[.*\];|n\d+ \[label="([^"\\]|\\.)*"\];|n\d+ -> n\d+( \[style=.*\])?;)', line
        )
    for line in export.mermaid(base)[1:]:
        assert re.fullmatch(r'  n\d+(\["[^"]*"\]| --> n\d+| -\. tied \.- n\d+)', line)
    for line in export.dot(base) + export.mermaid(base):
        assert line.isprintable()
        assert line.isascii()
