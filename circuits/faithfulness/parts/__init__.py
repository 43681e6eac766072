"""What a circuit can be made of, and how the model does with some of it alone: edges, heads and MLPs, neurons, latents, units of
one prompt's graph. Faithfulness, completeness and minimality are asked of any of them in the same words."""
