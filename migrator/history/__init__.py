"""The release's revisions: where they are, what they say, and how they follow one another."""
