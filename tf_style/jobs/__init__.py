"""From inputs to files: planning, manifests, checkpoints, sweeps.

`run.run` runs a job. `plan` decides what to paint, `runner` has it painted picture by
picture (`tasks`) and film by film (`film`), and `executors` choose the process.
"""
