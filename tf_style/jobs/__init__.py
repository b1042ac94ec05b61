"""From inputs to files: what to make and where, manifests, checkpoints, sweeps.

`run.run` does a job; `plan` says what there is to make, `runner` has it made, picture
by picture (`tasks`) and film by film (`film`), and `executors` say by which process.
"""
