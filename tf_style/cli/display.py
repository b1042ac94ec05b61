"""Shows a job on the console: a bar on a terminal, occasional lines elsewhere."""

import sys
import time
from typing import Any

from tqdm import tqdm

from tf_style.jobs import run
from tf_style.jobs.progress import JobLeft, TimeLeft
from tf_style.optimization.engine import Step
from tf_style.system import files

# Seconds between lines where the output is not a terminal.
LINE_EVERY = 10.0
# A run that will take over LONG_S is announced as long after FORECAST_STEPS steps.
FORECAST_STEPS = 4
FORECAST_S = 5.0  # for films, seconds before the first forecast
LONG_S = 30.0
# Erases the rest of a terminal's line, which may show typed text such as ^C.
ERASE = "\033[K"


class Display:
    """Shows and counts the events of `run.run`.

    On a terminal, several pictures share one bar, only failures get a line, and a
    summary comes at the end.

    Attributes:
        written: number of pictures written.
        skipped: number of pictures that existed.
        planned: seconds of each picture of a dry run.
        failed: number of inputs and pictures that failed.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar = None
        self._picture = None
        self._frames = 0  # finished frames of a film
        self._last_line = time.monotonic()
        self._time_left = TimeLeft()
        self._job_left = JobLeft()
        self._began = time.monotonic()
        self._folder = self._kept = None  # where the last picture was written, kept
        self._warned = False  # whether the forecast was shown
        self.planned = []
        self.written = self.skipped = self.failed = 0

    def show(self, event: Any) -> None:
        """Shows one event."""
        if isinstance(event, run.Failed):
            self.failed += 1
            self._print(f"tf_style: {event.reason}", sys.stderr)
        elif isinstance(event, run.Written):
            self.written += event.seconds is not None
            self._folder = event.path.parent
            if not (self._quiet or self._is_summed_up):
                seconds = "" if event.seconds is None else f" ({event.seconds:.1f} s)"
                self._print(f"wrote {event.path}{seconds}", sys.stdout)
        elif isinstance(event, run.Skipped):
            self.skipped += 1
            self._kept = event.path
            if not (self._quiet or self._on_terminal()):
                self._print(f"kept {event.path}", sys.stdout)
        elif isinstance(event, run.Planned):
            self.planned.append(event.seconds)
            if not self._quiet:
                duration = _duration(event.seconds)
                self._print(f"would write {event.path} ({duration})", sys.stdout)
        elif not self._quiet:
            if isinstance(event, run.Info):
                flag = "--" if event.setting else ""
                self._print(f"tf_style: {flag}{event.note}", sys.stderr)
            elif isinstance(event, run.Started):
                self._start(event)
            elif isinstance(event, Step):
                self._step(event)
            elif isinstance(event, run.Framed):
                self._frame()

    def sum_up(self) -> None:
        """Prints a summary, because single lines scroll out of sight."""
        if self.planned and not self._quiet:
            total, count = _duration(sum(self.planned)), len(self.planned)
            self._print(f"{count} to paint, about {total} in all", sys.stdout)
        only = self._kept and self._on_terminal() and not self._is_summed_up
        if only and not self._quiet:
            # Their number is only known at the end.
            self._print(f"kept {self._kept}", sys.stdout)
        counts = {"written": self.written, "kept": self.skipped, "failed": self.failed}
        told = [f"{count} {what}" for what, count in counts.items() if count]
        if self._is_summed_up and told and not self._quiet:
            if self.written:
                told[0] += f" to {self._folder}"
            told.append(f"in {_duration(time.monotonic() - self._began)}")
        elif not (self.failed and self.written):
            return
        self._print(f"tf_style: {', '.join(told)}", sys.stderr)

    @property
    def is_resumable(self) -> bool:
        """Whether a picture (not a film) was started, which can be continued."""
        return self._picture is not None and not self._picture.film

    @property
    def _is_summed_up(self):
        """Whether a summary replaces the line for each picture."""
        several = self.skipped > 1 or (self._picture and self._picture.count > 1)
        return several and self._on_terminal()

    @staticmethod
    def _on_terminal():
        return sys.stdout.isatty() and sys.stderr.isatty()

    def close(self) -> None:
        """Restores the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            print(end=ERASE, file=sys.stderr, flush=True)

    def _start(self, event):
        self._picture, self._time_left, self._frames = event, TimeLeft(), 0
        self._warned = False
        self._job_left.start(event.index, event.count)
        if not sys.stderr.isatty():
            if event.steps == 0:
                self._line(", ".join([self._name(), *self._left_of_job(0.0)]))
            return
        several = event.count > 1
        if not (several and self._bar is not None):
            self.close()
            count = "" if several else " {n_fmt}/{total_fmt}"
            self._bar = tqdm(
                total=event.count if several or event.steps == 0 else event.steps,
                desc=self._name(),
                unit=self._unit(),
                leave=False,
                dynamic_ncols=True,
                # tqdm's own forecast assumes that all steps take as long as the last.
                bar_format=f"{{desc}}:{count} |{{bar}}| {{elapsed}}{{postfix}}",
            )
        if several:
            self._show_job(0.0, "")

    def _left_of_job(self, progress):
        """Returns the text on the time left for all pictures, as a list."""
        left = self._job_left.update(progress, time.monotonic())
        return [] if left is None else [f"about {_left(left)} left in all"]

    def _show_job(self, progress, text):
        """Shows the progress of the current picture on the bar of several."""
        said = [text] if text else []
        said += [f"{self.failed} failed"] if self.failed else []
        said += self._left_of_job(progress)
        self._bar.set_description_str(self._name(), refresh=False)
        self._bar.set_postfix_str(", ".join(said), refresh=False)
        self._bar.update(self._picture.index + progress - self._bar.n)

    def _step(self, step):
        if step.note:
            self._print(f"tf_style: {step.note}", sys.stderr)
        terms = {name: f"{value:.3g}" for name, value in step.losses.items() if value}
        if self._bar is not None:  # A bar has no room for more.
            terms = {"loss": terms["total"]} if "total" in terms else {}
        numbers = ", ".join(f"{name} {value}" for name, value in terms.items())
        if self._picture.film:
            if self._bar is not None and self._picture.count == 1:
                self._bar.set_postfix_str(numbers)
            return
        self._advance(step.index, step.progress, numbers)

    def _frame(self):
        self._frames += 1
        total = self._picture.steps
        self._advance(self._frames, self._frames / total if total else 0.0, "")

    def _advance(self, index, progress, numbers):
        """Shows the progress of a picture's steps or a film's frames."""
        left = self._time_left.update(index, progress, time.monotonic())
        self._warn_if_long(left)
        total = self._picture.steps
        done = f"{self._unit()} {index}" + (f" of {total}" if total else "")
        if self._bar is not None and self._picture.count > 1:
            self._show_job(progress, done)
            return
        said = [numbers] if numbers else []
        if left is not None:
            said.append(f"about {_left(left)} left")
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join(said), refresh=False)
            self._bar.update(index - self._bar.n)
        else:
            if self._picture.count > 1:
                said += self._left_of_job(progress)
            self._line(f"{self._name()}: {', '.join([done, *said])}")

    def _unit(self):
        if self._picture.film:
            return "frame"
        return "picture" if self._picture.steps == 0 else "step"

    def _warn_if_long(self, seconds):
        """Announces the time once, if it is known and long."""
        # Frames come in batches, and the first batch comes late.
        enough = not self._picture.film or self._time_left.seconds >= FORECAST_S
        if seconds is None or self._warned or not enough:
            return
        if self._time_left.steps >= FORECAST_STEPS:
            self._warned = True
            if seconds > LONG_S:
                self._forecast(seconds)

    def _forecast(self, seconds):
        need = f", and {self._picture.memory / 2**30:.1f} GiB of memory"
        self._print(
            f"tf_style: {self._name()} will take about {_duration(seconds)}"
            + (need if self._picture.memory else ""),
            sys.stderr,
        )

    def _line(self, text):
        if time.monotonic() - self._last_line >= LINE_EVERY:
            self._last_line = time.monotonic()
            self._print(text, sys.stderr)

    def _name(self):
        picture = self._picture
        which = f" ({picture.index + 1} of {picture.count})"
        return picture.name + (which if picture.count > 1 else "")

    def _print(self, text, stream):
        try:
            if self._bar is None:
                print(text, file=stream, flush=True)
            else:
                self._bar.write(text, file=stream)
        except OSError:  # Nobody reads the output; go on painting.
            files.discard_output(stream.fileno())


def _left(seconds):
    """Returns a duration in short form."""
    return f"{seconds:.0f} s" if seconds < 120 else _duration(seconds)


def _duration(seconds):
    """Returns a duration in words."""
    for length, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds" if seconds >= 10 else f"{seconds:.1f} seconds"
