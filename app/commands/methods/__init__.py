"""The command-line door of declared methods: from each declaration a subcommand in its group; the catalogue; stored results."""
