"""What the start page shows before anything was run here: measured once, shipped small."""
