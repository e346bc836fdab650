"""The bundled networks: one file, one card."""
