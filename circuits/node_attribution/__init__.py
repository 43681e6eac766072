"""Node attribution: how much every head, MLP, neuron or latent matters to a metric, estimated by gradients and measured.

kinds       what a node may be, by the names people choose from
nodes       the nodes of one model: groups of a layer, their names
passes      one run with its graph, and gradients at chosen sites
moves       what the corrupted run moves each node by, and what that is worth by a gradient
qk_fix      queries and keys through the attention that they really make; keys_apart: one key at a time
estimate    scores of some pairs at once
attribute   the method `atp`
patched     one pair with nodes patched, many in a pass
exact       each node patched by itself, the truth that this estimates
scores      what was found of every node
unit_edges  edges from and to single neurons and latents, by unit_blocks
"""
