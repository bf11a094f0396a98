"""The nouns: cases, cells, outcomes, tolerances, and how they are written down. Imports nothing else of ours."""
