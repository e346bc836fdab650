"""The rules, in rooms by what they look at; a new rule is one new file."""
