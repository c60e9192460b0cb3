"""Lengths of time as people type and read them; the relay's options have the same, so they stand in relay_proto."""

from relay_proto.spans import FORM, UNITS_S, about, parse_span, span_text

__all__ = ["FORM", "UNITS_S", "about", "parse_span", "span_text"]
