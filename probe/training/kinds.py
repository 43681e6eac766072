"""Kinds of dictionaries and rules of sparsity that a recipe knows by name. No torch: a form offers them before it loads any."""

from typing import Literal, get_args

Kind = Literal["skip_transcoder", "transcoder", "sae", "crosscoder", "cross_layer_transcoder"]
Rule = Literal["topk", "batchtopk", "jumprelu", "relu", "gated", "matryoshka"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RULES: tuple[Rule, ...] = get_args(Rule)
