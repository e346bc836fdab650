"""The one trainer for all methods that train the whole network."""
