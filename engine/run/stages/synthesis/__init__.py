"""Images are made, watched, kept, and taken again by runs that ask for the same."""
