"""What goes on inside one layer of a finished run."""
