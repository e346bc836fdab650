"""Do it all: what the doctor proposes is tried one by one, and what helped is kept."""
