"""The view: what was recorded, for people; ours, and files for other people's."""
