"""Which class an image is of: from folders, tables and file names to class numbers."""
