"""How the table of what each unit does is measured."""
