"""The images of a run as they grow, and the statistics that they agree with."""
