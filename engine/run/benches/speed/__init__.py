"""How fast the engine is: its steps beside the bare network and beside a plain version of the same."""
