"""StatsD and DogStatsD, over UDP and TCP."""
