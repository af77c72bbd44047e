"""The one loop that runs rules: informers, queue, apply, barrier, story."""
