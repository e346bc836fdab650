"""Quantoscope's engine: zero-shot quantization of convolutional networks, without their data."""

__version__ = "0.1.0"
