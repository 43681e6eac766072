"""The graph files that Neuronpedia and circuit-tracer use, both ways."""
