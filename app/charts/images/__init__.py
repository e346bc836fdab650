"""Charts of images and of what they are made from."""
