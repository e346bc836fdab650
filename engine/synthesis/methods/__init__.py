"""One file, one published method: a class with a card, settings, and a step."""
