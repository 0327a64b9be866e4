"""The subcommands of `checkop`, one module each: NAME, HELP, configure(parser) and run(args) -> exit status."""
