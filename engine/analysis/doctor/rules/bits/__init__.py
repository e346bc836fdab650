"""Rules about how many bits a layer has."""
