"""The student beside its teacher: whether the labels fit, how it answers, what it weighs."""
