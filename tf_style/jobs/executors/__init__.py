"""Executors paint the pictures of a job, in this process or on a Ray cluster."""
