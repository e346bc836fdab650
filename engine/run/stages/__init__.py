"""The stages of a run, each a stream of events, and what they keep in its folder."""
