"""Taking a run away: the files that it leaves, each made when it is asked for."""
