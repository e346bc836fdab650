"""Kinds of weights' codes, one a file; codebook/: values that a layer or the network shares."""
