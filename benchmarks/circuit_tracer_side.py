"""circuit-tracer's side of the comparison of graphs: runs in its own environment, imports nothing of Openwork.

`bench_graph.py` starts it and asks. The model is read from its folder by transformer-lens, the transcoders by
circuit-tracer's own reader; nothing of it is patched. Its habit of leaving out what happens at the first position is switched
off by its own attribute, so that both sides explain the same nodes.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from circuit_tracer import Graph, ReplacementModel, __version__, attribute
from circuit_tracer.transcoder.single_layer_transcoder import load_transcoder_set
from safetensors.torch import save_file
from transformer_lens import loading_from_pretrained as loading
from transformers import AutoModelForCausalLM, AutoTokenizer
from turns import Answer, Peak, Request, serve


def load(folder: Path) -> Any:
    """The replacement model in float32, all weights in memory."""
    device = torch.device("cpu")
    files = sorted((folder / "transcoders").glob("layer_*.safetensors"))
    transcoders = load_transcoder_set(
        {layer: str(folder / "transcoders" / f"layer_{layer}.safetensors") for layer in range(len(files))},
        scan="random",
        feature_input_hook="mlp.hook_in",
        feature_output_hook="mlp.hook_out",
        device=device,
        dtype=torch.float32,
        lazy_encoder=False,
        lazy_decoder=False,
    )
    model = replacement_model(folder / "model", transcoders)
    model.zero_positions = slice(0, 0)
    return model


def replacement_model(folder: Path, transcoders: Any) -> Any:
    """The model of a folder around its transcoders.

    circuit-tracer loads by names transformer-lens lists; for any other model it has `from_config`, to which the weights are
    given afterwards, under the names it wraps MLPs and unembedding with.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    config = loading.get_pretrained_model_config(str(folder), device="cpu", dtype=torch.float32)
    model = ReplacementModel.from_config(config, transcoders, tokenizer=tokenizer)
    original = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)
    state = loading.get_pretrained_state_dict(str(folder), config, original, dtype=torch.float32)
    wrapped = {
        n.replace(".mlp.", ".mlp.old_mlp.").replace("unembed.", "unembed.old_unembed."): t for n, t in state.items()
    }
    lacking, unknown = model.load_state_dict(wrapped, strict=False)
    buffers = ("mask", "IGNORE", "rotary_sin", "rotary_cos", "b_U")  # a bias of the unembedding that is not stored is 0
    lost = [n for n in lacking if not n.endswith(buffers) and not n.startswith("transcoders")]
    if lost or unknown:
        raise RuntimeError(f"Weights went missing between the libraries: {lost} {unknown}")
    return model


def save(graph: Graph, path: Path) -> None:
    """Adjacency, and what its rows and columns stand for."""
    chosen = graph.active_features[graph.selected_features]
    tensors = {
        "adjacency": graph.adjacency_matrix,
        "features": chosen,
        "tokens": graph.input_tokens,
        "logits": graph.logit_token_ids,
        "probability": graph.logit_probabilities,
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = load(given.folder)

    def answer(request: Request) -> Answer:
        tokens = torch.tensor(request["tokens"])
        with Peak() as peak:
            graph = attribute(tokens, model, batch_size=request["batch"])
        if request.get("save"):
            save(graph, Path(request["save"]))
        facts = {"features": len(graph.selected_features), "nodes": len(graph.adjacency_matrix)}
        return {**peak.to_dict(), **facts, "version": __version__, "threads": torch.get_num_threads()}

    serve(answer)


if __name__ == "__main__":
    main()
