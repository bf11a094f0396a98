"""Workers of runtimes in Python, a file each."""
