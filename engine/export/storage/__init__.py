"""Codes written by how often each stands: canonical Huffman by column, sparse, packed; read back exactly."""
