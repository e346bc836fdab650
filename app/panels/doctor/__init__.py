"""What is wrong with a finished run, what to change, and whether it helped."""
