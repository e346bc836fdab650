"""How good the doctor's advice is: what it predicted beside what was measured, over many changes."""
