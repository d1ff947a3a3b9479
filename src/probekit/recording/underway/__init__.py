"""What has begun and not ended: requests, jobs, calls and waiting coroutines."""
