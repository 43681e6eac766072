"""Does the circuit alone do the job: a subgraph of units, or circuits of every size between components?"""
