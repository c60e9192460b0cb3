"""Every limit of the wire, with its unit and its reason.

A limit that has no name here does not exist on the wire. The unit is the last word of the name. The relay sends
the ones a client needs in the `limits` map of its answer to `register`.
"""

from typing import Final

PROTOCOL_VERSION: Final = 1
SUBPROTOCOL: Final = "relay.v1"
DEFAULT_PORT: Final = 4850

# -- one WebSocket message -------------------------------------------------------------------------------------------
MESSAGE_BYTES_MAX: Final = 1024 * 1024
"""Bytes of one WebSocket message, both ways. Four full bodies: one peer can't hold the loop for long."""
FRAMES_MAX: Final = 1024
"""Frames in one WebSocket message. A batch of small frames stays under one turn's share of the store."""

# -- one frame -------------------------------------------------------------------------------------------------------
BODY_BYTES_MAX: Final = 256 * 1024
"""Bytes of a body (UTF-8 for text). What is larger belongs in a file or an object store, with its address here."""
AGENT_CHARS_MAX: Final = 128
NAME_CHARS_MAX: Final = 64
"""Characters of a tag, a capability or a channel."""
NAMES_MAX: Final = 64
"""Tags, capabilities or channels of one agent: the directory indexes each of them."""
LABEL_CHARS_MAX: Final = 128
MACHINE_CHARS_MAX: Final = 128
INSTANCE_CHARS_MAX: Final = 128
TOKEN_CHARS_MAX: Final = 512
TARGET_CHARS_MAX: Final = 160
"""Characters of `to`: the longest prefix (`any:cap:`) and the longest label."""
SUBJECT_CHARS_MAX: Final = 256
CONTENT_TYPE_CHARS_MAX: Final = 128
KEY_CHARS_MAX: Final = 128
"""Characters of an idempotency key: room for a UUID and a path, small enough to index."""
REASON_CHARS_MAX: Final = 1024
RESULT_BYTES_MAX: Final = 64 * 1024
"""Bytes of a result of work. Kept with the message's state, so smaller than a body."""
MAP_ENTRIES_MAX: Final = 32
"""Entries of `headers` and of `meta`: an envelope, not a second body."""
MAP_KEY_CHARS_MAX: Final = 64
MAP_VALUE_CHARS_MAX: Final = 1024
MESSAGES_MAX: Final = 1024
"""Message ids in one `ack`."""
ID_MAX: Final = 2**63 - 1
"""Largest id of a request or a message: what a signed 64-bit column holds."""

# -- sessions --------------------------------------------------------------------------------------------------------
CREDIT_DEFAULT: Final = 64
CREDIT_MAX: Final = 1024
"""Deliveries a session may hold unacked. The relay keeps their ids in memory, the client their bodies."""
HANDSHAKE_S: Final = 5.0
"""Seconds from the TCP connection to a complete request head."""
REGISTER_S: Final = 5.0
"""Seconds from the WebSocket handshake to the first `register`."""
HEARTBEAT_S: Final = 30.0
"""Seconds between the heartbeats that a client should send. Half the default lease: one may be lost."""

# -- work ------------------------------------------------------------------------------------------------------------
LEASE_S_DEFAULT: Final = 60.0
LEASE_S_MIN: Final = 1.0
"""Shorter leases would expire within one stall of a laptop's scheduler."""
LEASE_S_MAX: Final = 24 * 3600.0
ATTEMPTS_DEFAULT: Final = 3
ATTEMPTS_MAX: Final = 100
"""Claims of one piece of work that may end in a failure or in silence; then it is buried."""
CLAIMS_MAX: Final = 64
"""Pieces of work claimed at once: what one turn of the relay does beside other things."""
DEPENDENCIES_MAX: Final = 64
"""Tasks that one task may wait for at once."""
PARK_S_DEFAULT: Final = 24 * 3600.0
PARK_S_MIN: Final = 1.0
PARK_S_MAX: Final = 30 * 24 * 3600.0
"""How long a claim may be parked: until someone is back from a holiday."""
DELAY_S_MAX: Final = 30 * 24 * 3600.0
"""Longest delay of a send or a nack: as long as finished messages are kept."""

# -- time and chains -------------------------------------------------------------------------------------------------
SPAN_S_MIN: Final = 0.001
"""The shortest ttl_s and expect_reply_s: the clock of the wire has milliseconds."""
TTL_S_MAX: Final = 30 * 24 * 3600.0
REPLY_S_MAX: Final = 7 * 24 * 3600.0
"""Longest wait for a reply: who waits longer should ask again."""
PRIORITY_MAX: Final = 9
PRIORITY_DEFAULT: Final = 4
"""What a message without a priority counts as: there is room below and above it."""
OFFER_S_DEFAULT: Final = 30.0
OFFER_S_MIN: Final = 1.0
OFFER_S_MAX: Final = 24 * 3600.0
"""How long a message to any:.. lies with one of them, neither acked nor claimed, before the next one gets it."""
HOPS_MAX: Final = 16
"""Length of a chain of messages that caused each other (reply_to, caused_by). A person's word begins a new one."""

# -- tokens ----------------------------------------------------------------------------------------------------------
TOKENS_MAX: Final = 10_000
"""Tokens that are let in at once: each is looked up in memory."""
TOKEN_S_MIN: Final = 1.0
TOKEN_S_MAX: Final = 10 * 365 * 24 * 3600.0
"""How long a token may be let in: what has no end is said so by leaving it out."""
NOTE_CHARS_MAX: Final = 256
SCOPES_MAX: Final = 32
"""Scopes of one token: twice as many as there are."""

EVENTS_MAX: Final = 8
"""Kinds of events in one `subscribe`."""

# -- pairs -----------------------------------------------------------------------------------------------------------
PAIR_GRACE_S: Final = 120.0
"""A pair ends when one of the two was not heard of for this long: as long as it takes to count as stale."""

# -- lists -----------------------------------------------------------------------------------------------------------
PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1000
"""Items in one page. A page also ends before it would pass MESSAGE_BYTES_MAX."""
OVERVIEW_ENTRIES_DEFAULT: Final = 10
OVERVIEW_ENTRIES_MAX: Final = 50
"""Entries of each list of an `overview`: a screen, not a report. Lists have pages of their own."""
