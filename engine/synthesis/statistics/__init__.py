"""Statistics: what BatchNorm layers keep, what images give, and how both are worked out."""
