"""Commands that ask something of a finished run; each answer is found once and kept."""
