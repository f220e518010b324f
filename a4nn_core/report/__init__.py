"""The report of runs: one page with all their figures, which needs neither a server nor a network."""
