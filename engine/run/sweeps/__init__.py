"""Sweeps: many recipes that differ in a few choices, run one after another, told as one matrix."""
