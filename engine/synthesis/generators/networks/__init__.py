"""The networks that draw images: GENIE's generator, the class-conditional one, and what they are made of."""
