"""Component circuits: what every head and MLP writes, who reads it, and how much each such edge matters to a metric.

layout      the edges that a model has, by name
writes      what each sender adds to the stream in a run
readers     what each receiver makes of the stream, forwards and backwards
pairs       clean and corrupted runs, their metric
run         the model with chosen edges carrying another run
eap         edge attribution patching: one gradient, or its mean along a path
"""
