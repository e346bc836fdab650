"""The command line, room by room; `engine/__main__.py` holds its parser."""
