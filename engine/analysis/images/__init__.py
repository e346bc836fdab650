"""What sets of images are like, and how far one set is from another."""
