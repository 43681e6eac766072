"""Supernodes, groups of units that are read as one: suggested, collapsed, scored. No model inside."""
