"""One worker: a piece of work, its row, the table of all, its result, starting it again."""
