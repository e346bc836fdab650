"""The same algorithms as published code writes them (float32, NCHW, eager), to hold the engine against."""
