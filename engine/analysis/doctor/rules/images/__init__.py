"""Rules about the images that a run was calibrated on."""
