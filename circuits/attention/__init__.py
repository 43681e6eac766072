"""Inside attention: edges split over heads, attention scores split over pairs of sources."""
