"""Past what we have: 100,000 cells on 1,000 processes, and their logs and reports. Nothing is run, all is measured."""
