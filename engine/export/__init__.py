"""What a finished run is taken away as: one file a format."""
