"""What the start page shows, one file a thing."""
