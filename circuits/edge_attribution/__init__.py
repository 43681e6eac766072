"""Component circuits: what every head and MLP writes, who reads it, and how much each such edge matters to a metric.

layout      the edges that a model has, by name
writes      what each sender adds to the stream in a run
readers     what each receiver makes of the stream, forwards and backwards
run         the model with chosen edges carrying another run
runs        circuits run on a task's pairs, compared with the whole model
eap         edge attribution patching: one gradient, or its mean along a path
exact       each edge patched by itself, the truth that these estimate
scores      what was found of every edge
"""
