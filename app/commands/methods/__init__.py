"""The command-line door of declared methods: from each declaration (`probe.methods`) a subcommand in its group, and the catalogue."""
