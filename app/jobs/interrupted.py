"""What is said of a job that nobody works on any more: its server stopped, or was started again, before it was finished."""

INTERRUPTED = "The server stopped before this was finished; what it had stored is kept."
