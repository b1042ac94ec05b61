"""The Ray executor: its workers make what the local one makes, and may die over it."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from tf_style import images
from tf_style.cli import flags as cli_flags
from tf_style.config import GatysConfig, HubConfig, Job
from tf_style.jobs import plan, run
from tf_style.jobs.executors import local, ray_cluster, ray_runtime, ray_worker
from tf_style.jobs.inputs import StyleCache
from tf_style.system.stop import StopToken

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2


class Mortal(ray_worker.Worker):
    """Kills itself once, when the first picture of its first large part is there."""

    def _stylize(self, pairs, report):
        folder = Path(self._context.running_file).parent

        def report_and_die(event):
            report(event)
            mark = folder.parent / "died"
            if isinstance(event, run.Written) and len(pairs) > 3 and not mark.exists():
                mark.write_text(str(event.path))
                os.kill(os.getpid(), signal.SIGKILL)

        found = super()._stylize(pairs, report_and_die)
        names = []
        for path in Path("/proc/self/task").glob("*/comm"):
            with contextlib.suppress(OSError):  # The thread has ended since.
                names.append(path.read_text())
        (folder.parent / f"threads-{os.getpid()}").write_text("".join(names))
        return found


class Watched(ray_worker.Worker):
    """Tells through a pipe beside the pictures when it is in the middle of one."""

    events = 0

    def _is_over(self):
        self.events += 1
        if self.events == 5:
            pipe = Path(self._context.running_file).parent.parent / "pipe"
            pipe.write_bytes(b"now")
        return super()._is_over()


def noise(height, width, seed):
    return np.random.default_rng(seed).random((1, height, width, 3), np.float32)


def _skip_without_ray():
    # `pytest.importorskip` would import it before it is told to be quiet.
    if importlib.util.find_spec("ray") is None:
        pytest.skip("no Ray is installed")


@pytest.fixture(scope="module")
def ray():
    """Ray with two cores, whatever the machine has."""
    _skip_without_ray()
    ray = ray_runtime.load()
    # Workers cannot import this module, so that they are sent its code.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with ray_runtime.folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=WORKERS,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=ray_runtime.OBJECT_STORE_BYTES,
            _temp_dir=folder,
        )
        yield ray
        ray.shutdown()


@pytest.fixture
def painting(tmp_path, style):
    images.save_image(tmp_path / "painting.png", style)
    return tmp_path / "painting.png"


@pytest.fixture
def job(tmp_path, painting, stub_model):
    """Sixteen photos in one painting, and a file that is no photo."""
    for number in range(16):
        path = tmp_path / "photos" / f"{number:02}.png"
        images.save_image(path, noise(30 + number % 3, 44, number))
    (tmp_path / "photos" / "04b.png").write_bytes(b"no picture")
    return Job(
        contents=(str(tmp_path / "photos"),),
        styles=(str(painting),),
        output=str(tmp_path / "local"),
        hub=HubConfig(model=str(stub_model)),
    )


@pytest.fixture
def elsewhere(job, tmp_path):
    return dataclasses.replace(job, executor="ray", output=str(tmp_path / "ray"))


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def names_of(events, kind):
    return sorted(event.path.name for event in of_kind(events, kind))


def accounts_in(folder):
    """Returns the manifests of a folder, without what differs from run to run."""
    accounts = {}
    for path in folder.glob("*.json"):
        accounts[path.name] = json.loads(path.read_text())
        for name in ("seconds", "finished"):
            accounts[path.name].pop(name, None)
    return accounts


@pytest.mark.cluster
def test_two_workers_make_what_the_local_executor_makes_though_one_is_killed(
    ray, job, elsewhere, tmp_path, monkeypatch, capfd
):
    expected = list(run.run(job))
    capfd.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(ray_cluster, "Worker", Mortal)
        events = list(run.run(elsewhere))
    assert capfd.readouterr() == ("", "")
    here, there = tmp_path / "local", tmp_path / "ray"
    # What was finished before the death is skipped, nor told twice.
    finished = Path((there / "died").read_text()).name
    kept = names_of(events, run.Skipped)
    assert finished in kept
    told = names_of(events, run.Written)
    assert sorted(kept + told) == names_of(expected, run.Written)
    assert of_kind(events, run.Failed) == of_kind(expected, run.Failed) != []
    begun = of_kind(events, run.Started)
    assert [event.index for event in begun] == list(range(len(begun)))
    assert {event.count for event in begun} == {17}
    # Whoever lived to the end of a part kept to its cores.
    threads = [path.read_text().split() for path in there.glob("threads-*")]
    assert len(threads) >= WORKERS
    assert {names.count("tf_Compute") for names in threads} == {ray_runtime.CORES}
    for path in [there / "died", *there.glob("threads-*")]:
        path.unlink()
    pictures = {path.name: path.read_bytes() for path in here.iterdir()}
    # Who is killed leaves what it was writing, under a name that nobody reads.
    found = {path.name: path.read_bytes() for path in there.glob("[!.]*")}
    assert found.keys() == pictures.keys()
    assert accounts_in(there) == accounts_in(here)
    for name in (name for name in pictures if name.endswith(".png")):
        assert found[name] == pictures[name], name
    # Either engine keeps what the other made.
    before = {path: path.stat().st_mtime_ns for path in there.glob("[!.]*_*.png")}
    events = list(run.run(dataclasses.replace(elsewhere, executor="local")))
    assert len(of_kind(events, run.Skipped)) == 16
    assert names_of(events, run.Written) == ["contact_sheet.png"]
    sheet = there / "contact_sheet.png"
    assert all(
        path.stat().st_mtime_ns == time
        for path, time in before.items()
        if path != sheet
    )


@pytest.mark.cluster
def test_an_interrupt_writes_the_best_picture_so_far(
    ray, slow_job, tmp_path, monkeypatch
):
    stop = StopToken()
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "pipe")
    monkeypatch.setattr(ray_cluster, "Worker", Watched)
    slow = dataclasses.replace(slow_job.gatys, steps=20_000)
    job = dataclasses.replace(slow_job, executor="ray", gatys=slow)

    def interrupt():
        (tmp_path / "out" / "pipe").read_bytes()
        stop.set()

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    list(run.run(job, stop=stop))
    waiting.join()
    [account] = (tmp_path / "out").glob("*.json")
    assert json.loads(account.read_text())["interrupted"] is True
    assert list((tmp_path / "out").glob("*.checkpoint.npz"))
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.cluster
def test_a_model_that_cannot_be_had_is_one_line(tmp_path, painting):
    """By the program itself, which starts Ray of its own, and stops it."""
    _skip_without_ray()
    before = set(Path("/tmp").glob("ray-*"))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tf_style",
            f"--content={painting}",
            f"--style={painting}",
            "--model=nowhere",
            "--executor=ray",
            f"--output={tmp_path / 'out'}/",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={n: v for n, v in os.environ.items() if n != "RAY_ADDRESS"},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tf_style: ") and done.stderr.count("\n") == 1
    assert "nowhere" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
    assert set(Path("/tmp").glob("ray-*")) <= before


def test_without_ray_one_line_says_what_to_install(elsewhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        ImportError, match=r"install it with pip install 'tf_style\[clu"
    ):
        list(run.run(elsewhere))


def test_a_dry_run_needs_no_workers(elsewhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    events = list(run.run(dataclasses.replace(elsewhere, dry_run=True)))
    assert len(of_kind(events, run.Planned)) == 16


def test_a_time_budget_is_refused():
    slow = GatysConfig(time_budget=5.0)
    job = Job(contents=("a",), styles=("b",), mode="gatys", gatys=slow)
    with pytest.raises(ValueError, match="time_budget works with executor local"):
        dataclasses.replace(job, executor="ray")
    # On the fast path it says nothing.
    dataclasses.replace(job, executor="ray", mode="hub")


def pairs_of(photos, styles):
    names = [(f"{p}.png", (f"{s}.png",)) for p in range(photos) for s in range(styles)]
    return [plan.Pair(index, *pair, Path()) for index, pair in enumerate(names)]


@pytest.mark.parametrize(
    "photos, styles, workers, most, sizes",
    [
        (1, 1, 2, 8, [1]),
        (3, 1, 2, 8, [1, 1, 1]),
        (40, 1, 2, 8, [8, 8, 6, 4, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1]),
        (6, 1, 1, 1, [1] * 6),
        # Photos stay whole while there are enough.
        (8, 3, 1, 8, [6, 6, 6, 3, 1, 1, 1]),
        # Pictures of one photo are shared out too.
        (1, 9, 2, 8, [2, 1, 1, 1, 1, 1, 1, 1]),
        (2, 20, 1, 8, [8, 8, 4, 8, 6, 3, 1, 1, 1]),
    ],
)
def test_parts_are_large_first_and_small_at_the_end(
    photos, styles, workers, most, sizes
):
    pairs = pairs_of(photos, styles)
    parts = list(ray_cluster.share(pairs, workers, most))
    assert [pair for part in parts for pair in part] == pairs
    assert [len(part) for part in parts] == sizes
    for part in parts:
        # As `runner.Runner.make` wants them.
        counts = {sum(p.content == pair.content for p in part) for pair in part}
        assert len(counts) == 1


def test_a_huge_job_has_parts_that_ray_can_count():
    parts = list(ray_cluster.share(pairs_of(100_000, 1), 50, 8))
    assert max(map(len, parts)) == 50
    assert len(parts) < 1.3 * ray_cluster.MAX_PARTS


@pytest.fixture
def context(job, tmp_path, monkeypatch):
    """Of a worker in this process, which computes on as many cores as it did."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "running").touch()
    return ray_worker.WorkerContext(
        job=job,
        styles=job.styles,
        readable=frozenset(job.styles),
        count=17,
        folder=str(tmp_path),
        environment={},
        running_file=str(tmp_path / "running"),
        cores=0,
    )


def assigned(job):
    return plan.assign(job, plan.expand(job.contents).pictures, job.styles)


def report_of(context, pairs, part=3):
    row = {"part": part, "pairs": pickle.dumps(pairs)}
    return pickle.loads(ray_worker.Worker(context)(row)["report"])


def test_a_worker_reports_what_the_local_executor_reports(job, context, tmp_path):
    pairs = assigned(job)[3:6]
    report = report_of(context, pairs)
    assert (report.part, report.stopped, report.error) == (3, False, None)
    assert len(of_kind(report.events, run.Started)) == 2
    assert len(of_kind(report.events, run.Failed)) == 1
    assert report.written == {pair.output for pair in pairs if pair.output.exists()}
    assert len(report.written) == 2
    style_cache = StyleCache(job, job.styles)
    style_cache.readable = set(job.styles)
    events = list(
        local.stylize(job, pairs, style_cache, 17, 0.0, lambda *_: None, StopToken())
    )
    assert names_of(events, run.Skipped) == names_of(report.events, run.Written)


def test_a_worker_stops_when_the_file_that_keeps_it_running_is_gone(
    job, context, tmp_path
):
    pairs = assigned(job)
    (tmp_path / "running").unlink()
    report = report_of(context, pairs)
    assert (report.stopped, report.events) == (True, [])
    with pytest.raises(FileNotFoundError, match="cannot see .*running; --executor=ray"):
        ray_cluster.check(report, context.running_file)


def test_a_part_that_kills_its_workers_is_given_up(job, context):
    pairs = assigned(job)[:1]
    for _ in range(ray_worker.MAX_TRIES):
        assert not of_kind(report_of(context, pairs).events, run.Failed)
    report = report_of(context, pairs)
    [failed] = report.events
    assert "00_painting.png" in failed.reason and "3 workers died" in failed.reason
    assert not of_kind(report_of(context, pairs, part=4).events, run.Failed)


@pytest.mark.parametrize("kind", [ValueError, OSError, ImportError, KeyError])
def test_what_ends_a_job_comes_back_as_it_was(job, context, monkeypatch, kind):
    def fail(*_):
        raise kind("no such thing")
        yield

    monkeypatch.setattr(local, "stylize", fail)
    report = report_of(context, assigned(job)[:1])
    wanted = {ImportError: OSError, KeyError: RuntimeError}.get(kind, kind)
    with pytest.raises(wanted, match="no such thing"):
        ray_cluster.check(report, context.running_file)


def test_importing_a_worker_does_not_load_tensorflow():
    code = (
        "import sys, tf_style.jobs.executors.ray_worker; "
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    assert done.stdout.strip() == b"False"


def test_the_flag_reaches_the_job():
    with flagsaver.flagsaver():
        flags.FLAGS(["tf_style", "--content=a", "--style=b", "--executor=ray"])
        assert cli_flags.make_job().executor == "ray"
    with pytest.raises(
        ValueError, match="executor is 'spark'; it must be local or ray"
    ):
        Job(contents=("a",), styles=("b",), executor="spark")
