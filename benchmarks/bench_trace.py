"""Attribution graph of a 10-token prompt in the neuron basis with 2,000 nodes: time, memory, exactness.

The floor is the arithmetic of the sweep: each target's cotangent through the attention of every layer below it. The ratio
compares with one matrix product of the same operations at once, in the same run.
"""

import json
import os
import resource
import time

import torch

from circuits.attribution.trace import TraceConfig, plan_trace, trace
from circuits.validation.edges import check_edges
from probe.model.load import load_model

PROMPT = "The capital of the country France is the city"  # ten tokens with BOS


def matmul_flops_per_second() -> float:
    """What this machine reaches on a large float32 product."""
    a, b = torch.randn(4096, 576), torch.randn(576, 4608)
    a @ b
    start = time.perf_counter()
    for _ in range(5):
        a @ b
    return 5 * 2 * 4096 * 576 * 4608 / (time.perf_counter() - start)


def main() -> None:
    torch.set_num_threads(2)
    model = load_model(os.environ.get("OPENWORK_MODEL", "smollm2-135m"))
    config = TraceConfig(max_nodes=2000)
    trace(model, PROMPT, config=TraceConfig(max_nodes=10))
    start = time.perf_counter()
    graph = trace(model, PROMPT, config=config)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.perf_counter()
    check = check_edges(model, graph, n=10)
    floor = plan_trace(model, len(graph.token_ids), config).flops / matmul_flops_per_second()
    found = {
        "tokens": len(graph.token_ids),
        "units": int(graph.nodes.where("neuron").sum()),
        "edges": len(graph.edges),
        "seconds": round(seconds, 2),
        "over_matmul_floor": round(seconds / floor, 2),
        "peak_memory_GB": round(peak / 1e9, 2),
        "conservation_residual": graph.residual_relative,
        "moved_by_edges_within": check.worst,
        "check_seconds": round(time.perf_counter() - start, 2),
    }
    print(json.dumps({"bench": "trace", **found}))


if __name__ == "__main__":
    main()
