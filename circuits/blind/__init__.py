"""Blind case studies: evidence without text, a hypothesis on record, then the reveal."""
