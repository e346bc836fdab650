"""The pixels of files and arrays as a network reads them."""
