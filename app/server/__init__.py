"""Routes beside the pages: the event stream, snapshots, static files, health."""
