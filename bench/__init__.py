"""The benchmark of Relay: the same work on Relay and on its peers, pair by pair, in one run on one machine."""
