"""A long job on a small cluster, interrupted again and again in every way Slurm knows."""
