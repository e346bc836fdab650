"""The pages: they start runs, read what runs wrote, and draw it. No torch, no maths."""
