"""What a run survives: processes killed at random moments, disks that are full or read-only, clocks that jump."""
