"""What an address says: which page, run, step and layer; every view is a link."""
