"""What several pages show alike: keys, an empty page, an answer asked for, a word of consent."""
