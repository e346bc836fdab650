"""Does each method do what its paper claims? The claims as data, and their measurement seed by seed."""
