"""Kernels as products of small factors whose values are codes."""
