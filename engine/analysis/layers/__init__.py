"""How wrong a layer is, how it uses its levels, and where its error comes from."""
