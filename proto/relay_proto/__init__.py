"""The wire of Relay: frames, codec, target grammar, errors, limits. Pure: no I/O, no clock, no state."""
