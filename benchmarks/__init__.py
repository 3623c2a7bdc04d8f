"""Measurements, as JSON and a table; never asserted as timed tests."""
