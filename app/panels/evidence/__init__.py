"""What is measured of the methods: our own recipe, and the claims of the papers."""
