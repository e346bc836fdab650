"""Workers: the process of a run, how it is started, steered and limited, and whose turn it is."""
