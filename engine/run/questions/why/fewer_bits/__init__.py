"""What other bits would do to a finished run: tables, the front, any choice at once, one measured."""
