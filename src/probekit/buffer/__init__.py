"""What is kept, and where: segments of every process, one SQLite file of the leader.

Applications append to segments and never touch SQLite; the leader folds segments into
windows, keeps them until every exporter has passed them, and counts every loss. This
room knows nothing of who records and who delivers.
"""
