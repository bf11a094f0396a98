"""What `modelconform new --from` takes models from: a module each, imported when it is asked for.

A module has `PACKAGE`, what pip calls it, and `drafts(model) -> list[str]`: case files for a model, the one to be
preferred first. It raises UnknownModel, or CantScaffold where nothing can be drafted.
"""
