"""Pairs of prompts with their answers: what a behaviour is measured on."""
