"""What the page of the networks shows, one file a thing."""
