"""What the command line prints: progress, tables, a diagnosis, how a command ends."""
