"""The study `greater-than`: heads that carry the start year, MLPs and neurons that write later years, the circuit they make."""
