"""C++ on the user's machine: finds tools and engines' libraries, compiles on first use, and keeps it in the cache."""
