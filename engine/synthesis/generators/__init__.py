"""Generators: networks that draw images, and the methods that train them."""
