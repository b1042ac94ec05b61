"""Who makes the pictures of a job: this process, or workers of a Ray cluster."""
