"""Where strangers come from: a module a package, each with a `strangers()`."""
