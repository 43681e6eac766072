"""Kinds of dictionaries and rules of sparsity that a recipe knows by name. No torch: a form offers them before it loads any."""

KINDS = ("skip_transcoder", "transcoder", "sae", "crosscoder", "cross_layer_transcoder")
RULES = ("topk", "batchtopk", "jumprelu", "relu", "gated", "matryoshka")
