"""The one version of the distribution, the wire excepted (that is limits.PROTOCOL_VERSION)."""

__version__ = "0.1.0"
