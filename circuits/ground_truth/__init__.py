"""Models wired by hand, whose circuit is known by construction, and what each method of finding circuits makes of them.

wiring      a transformer from what its heads and neurons are to read and write, by name
one file a model: saturated, induction, or_gate, cancelling, linear
known       such a model with its pairs and the edges that are its circuit
recovered   what every method finds of it
"""
