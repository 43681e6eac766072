"""The pages of many units."""
