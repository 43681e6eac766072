"""Tasks: pairs of prompts with and without a behaviour, their answers and metric, made for the loaded model's tokenizer."""
