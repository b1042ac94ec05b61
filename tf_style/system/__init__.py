"""The machine: files and downloads, hardware, start-up, and stopping work."""
