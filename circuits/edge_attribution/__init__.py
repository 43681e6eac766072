"""Component circuits: what every head and MLP writes, who reads it, and how much each such edge matters to a metric.

layout       the edges that a model has, by name
writes       what each sender adds to the stream in a run
readers      what each receiver makes of the stream, forwards and backwards
run          the model with chosen edges carrying another run
runs         circuits run on a task's pairs, compared with the whole model
estimate     what a way to score edges is, of two runs
eap          gradients of the clean run, of both, and along paths between them
relp         gradients by relevance rules
flow_routes  shares of what is read, without gradients
exact        each edge patched by itself, the truth that these estimate
plan         what each of them takes
refusals     what none of them is asked in vain
scores       what was found of every edge
"""
