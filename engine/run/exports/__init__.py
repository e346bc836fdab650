"""Taking a finished run away: its network as plain data, the formats asked for, the proof of the file."""
