"""How any record shows itself: text, HTML, labels and numbers as words."""
