"""What is found out by running a network on a few images, each by one look."""
