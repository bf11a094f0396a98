"""Parts of a case's model as cases of their own, and as source that somebody would write."""
