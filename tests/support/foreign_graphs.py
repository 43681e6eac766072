"""Graph files as other programs write them, built by hand from their published rules: two layers, two tokens, one logit pair."""

from typing import Any

from circuits.exchange.neuronpedia_ids import cantor

TOKENS = ["<bos>", " one"]


def node(
    name: str, kind: str, layer: Any, pos: int, feature: int | None, clerp: str = "", **more: Any
) -> dict[str, Any]:
    return {
        "node_id": name,
        "feature": feature,
        "layer": layer,
        "ctx_idx": pos,
        "feature_type": kind,
        "jsNodeId": name,
        "clerp": clerp,
        "influence": None,
        "activation": None,
        "token_prob": 0.0,
        "is_target_logit": False,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        **more,
    }


def unit(layer: int, feature: int, pos: int, **more: Any) -> dict[str, Any]:
    name, pair = f"{layer}_{feature}_{pos}", cantor(layer, feature)
    return node(name, "cross layer transcoder", str(layer), pos, pair, activation=2.0, influence=0.5, **more)


def link(source: str, target: str, weight: float) -> dict[str, Any]:
    return {"source": source, "target": target, "weight": weight}


def logits() -> list[dict[str, Any]]:
    return [
        node("3_7_1", "logit", "3", 1, 7, 'Output " two" (p=0.600)', token_prob=0.6, is_target_logit=True),
        node("3_8_1", "logit", "3", 1, 8, 'Output " three" (p=0.300)', token_prob=0.3),
    ]


def file(nodes: list[dict[str, Any]], links: list[dict[str, Any]], **q_params: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "slug": "sample",
            "scan": "some-model",
            "transcoder_list": [],
            "prompt_tokens": TOKENS,
            "prompt": "<bos> one",
            "info": {"generator": {"name": "circuit-tracer by Hanna & Piotrowski", "version": "0.5.0"}},
            "generation_settings": {"max_n_logits": 10, "batch_size": 512},
        },
        "qParams": {"linkType": "both", "pinnedIds": [], "clickedId": "", "supernodes": [], "sg_pos": "", **q_params},
        "nodes": nodes,
        "links": links,
    }


def circuit_tracer(errors: str = "new") -> dict[str, Any]:
    """Features, errors, tokens, logits; links sorted by target, then source, as its adjacency matrix is.

    errors: "new" writes `{l}_-1_{p}`; "old" writes `0_{l}_{p}`, so the error of layer 1 at position 1 is called like unit 1 of
    layer 0 at position 1.
    """
    error = {"new": "1_-1_1", "old": "0_1_1"}[errors]
    nodes = [
        unit(0, 1, 1),
        unit(0, 40, 1),
        unit(1, 9, 1, clerp="my label"),
        node(error, "mlp reconstruction error", "1", 1, -1),
        node("E_50_0", "embedding", "E", 0, 0, 'Emb: "<bos>"'),
        node("E_51_1", "embedding", "E", 1, 1, 'Emb: " one"'),
        *logits(),
    ]
    links = [
        link("E_51_1", "0_1_1", 1.5),
        link("E_51_1", "0_40_1", -0.5),
        link("0_1_1", "1_9_1", 3.0),  # of layer 1: read before the error of layer 1 is written, so it is the unit's
        link("E_50_0", "1_9_1", 1.0),
        link("0_1_1", "3_7_1", 0.25),  # twice in the old file: the unit's, then the error's
        link("1_9_1", "3_7_1", 2.0),
        link(error, "3_7_1", -0.75),
        link("0_40_1", "3_8_1", 4.0),
        link(error, "3_8_1", 0.125),  # behind unit 40 in the order of the nodes: the error's
    ]
    return file(nodes, links, pinnedIds=["1_9_1", "gone"], supernodes=[["twos", "0_1_1", "1_9_1"], ["lost", "gone"]])


def attribute() -> dict[str, Any]:
    """EleutherAI's attribute: ids by what they are, logits in layer -1."""
    nodes = [
        node("input_0", "embedding", "E", 0, 0),
        node("input_1", "embedding", "E", 1, 1),
        node("intermediate_1_0_5", "cross layer transcoder", "0", 1, cantor(0, 5), activation=1.0),
        node("intermediate_1_1_6", "cross layer transcoder", "1", 1, cantor(1, 6), activation=3.0),
        node("error_1_0", "mlp reconstruction error", "0", 1, -1),
        node("output_1_7", "logit", "-1", 1, 7, 'Output " two" (p=0.600)', token_prob=0.6),
    ]
    links = [
        link("input_1", "intermediate_1_0_5", 1.0),
        link("intermediate_1_0_5", "intermediate_1_1_6", 2.0),
        link("intermediate_1_1_6", "output_1_7", 0.5),
        link("error_1_0", "output_1_7", 0.25),
        link("input_0", "output_1_7", 0.0),
    ]
    return file(nodes, links)


def neuronpedia() -> dict[str, Any]:
    """The schema's own examples: `feature` is the index itself, layers are numbers, bias and unknown nodes, no probabilities."""
    nodes = [
        node("E_2_0", "embedding", "E", 0, 0),
        {
            "node_id": "0_253_1",
            "feature": 253,
            "layer": 0,
            "ctx_idx": 1,
            "feature_type": "lorsa",
            "jsNodeId": "x",
            "clerp": "",
        },
        {
            "node_id": "b",
            "feature": None,
            "layer": "0",
            "ctx_idx": 1,
            "feature_type": "bias",
            "jsNodeId": "b",
            "clerp": "",
        },
        {
            "node_id": "u",
            "feature": None,
            "layer": "0",
            "ctx_idx": 1,
            "feature_type": "unknown",
            "jsNodeId": "u",
            "clerp": "",
        },
        {
            "node_id": "x",
            "feature": 7,
            "layer": "1",
            "ctx_idx": 1,
            "feature_type": "logit",
            "jsNodeId": "x",
            "clerp": "two",
        },
    ]
    links = [link("E_2_0", "0_253_1", 12.5), link("0_253_1", "x", 1.0), link("b", "x", 2.0), link("u", "x", 3.0)]
    found = file(nodes, links)
    del found["metadata"]["info"], found["metadata"]["generation_settings"]
    return found
