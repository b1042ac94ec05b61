"""The machine beneath: files and downloads, hardware, start-up, asking work to stop."""
