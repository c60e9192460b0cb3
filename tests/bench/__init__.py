"""Tests of the benchmark harness: that it measures what it says, with tiny counts. No test asserts a speed."""
