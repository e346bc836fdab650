"""How few bits can I afford? The fader, what it stands at, and that measured for real."""
