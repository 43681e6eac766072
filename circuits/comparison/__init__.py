"""Graphs matched, differenced and merged over prompts."""
