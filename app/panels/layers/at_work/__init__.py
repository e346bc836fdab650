"""What a quantizer shows of itself while it works on a block."""
