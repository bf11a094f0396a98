"""Models that nobody here wrote, and a faithful runtime that draws how it computes: do verdicts cry wolf?"""
