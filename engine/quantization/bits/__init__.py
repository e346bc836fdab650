"""Bits: sensitivity of each layer, and the allocation of bits under a budget."""
