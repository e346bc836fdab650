"""Charts of why a run is as it is: where errors come from, which answers change, what other bits would do."""
