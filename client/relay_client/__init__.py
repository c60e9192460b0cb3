"""What an agent holds: the async client, the `relay` command, the REPL."""
