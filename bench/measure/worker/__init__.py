"""The measuring process. Needs the standard library, NumPy and its one backend, nothing else."""
