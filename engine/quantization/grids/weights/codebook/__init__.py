"""One codebook for a whole network: sums of few powers of two, and which weight is fixed to which."""
