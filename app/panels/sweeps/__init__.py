"""Many runs that differ in a few choices: planned, started, and told as one matrix."""
