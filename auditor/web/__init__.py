"""The web side: what is judged, for people and machines that may see it. It reads the ledger and nothing else."""
