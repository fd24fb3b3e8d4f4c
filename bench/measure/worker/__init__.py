"""The measuring process. It needs only the standard library, NumPy and its one backend."""
