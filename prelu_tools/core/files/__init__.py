"""Files that nobody vouches for, and files that are being written."""
