"""How a client process talks to each peer: one Link a peer, so that every workload is written once."""
