"""Commands about graphs and circuits."""
