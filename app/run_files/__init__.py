"""What a run left on the disk, as pages read it: its folder, its events, its notes."""
