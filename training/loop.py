"""The training loop: Adam, a log, checkpoints, and continuing from them."""

import csv
import time

import keras
import numpy as np
import tensorflow as tf

# Gradients of a batch with an odd picture in it can be a hundred times the usual.
CLIP_NORM = 1.0
WARMUP_STEPS = 100


def train(model, batches, steps, rate, folder):
    """Trains to `steps`, from the last checkpoint if there is one.

    Args:
        model: a `tf.Module` with `trained`, its variables; `kept`, a structure of all
            that a checkpoint must hold; `start(batches)`, called before the first step;
            `weights`, a number for each loss; and `losses(*batch)`, scalars by name.
        batches: an iterator of tuples.
        steps: updates in all.
        rate: highest learning rate; it warms up, then falls to nothing as a cosine.
        folder: where `log.csv` and the checkpoints are.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps, 1e-6, warmup_target=rate, warmup_steps=WARMUP_STEPS
    )
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=CLIP_NORM)
    optimizer.build(model.trained)
    checkpoint = tf.train.Checkpoint(model=model.kept, optimizer=optimizer.variables)
    manager = tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), 2)
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint).assert_consumed()
    else:
        model.start(batches)
        manager.save(0)

    @tf.function
    def step(*batch):
        with tf.GradientTape() as tape:
            terms = model.losses(*batch)
            total = tf.add_n([model.weights[k] * term for k, term in terms.items()])
        optimizer.apply(tape.gradient(total, model.trained), model.trained)
        return terms

    log = folder / "log.csv"
    if not log.exists():
        log.write_text(",".join(["step", "seconds", *model.weights]) + "\n")
    began, recent = time.monotonic(), []
    while (done := int(optimizer.iterations)) < steps:
        terms = step(*next(batches))
        recent.append([float(terms[name]) for name in model.weights])
        if (done + 1) % 25 == 0:
            row = [done + 1, time.monotonic() - began, *np.mean(recent, 0)]
            recent = []
            with log.open("a", newline="") as stream:
                csv.writer(stream).writerow([f"{value:.6g}" for value in row])
            print(*(f"{value:.4g}" for value in row), flush=True)
        if (done + 1) % 100 == 0 or done + 1 == steps:
            manager.save(done + 1)
