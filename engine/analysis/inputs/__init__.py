"""Whether a network is fed as it was trained: pixel mean and spread, normalisation, labels."""
