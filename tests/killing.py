"""Runs jobs in processes that are killed at a moment of one's choosing.

    python killing.py FOLDER < requests

A request is a line: the path of a pickled `Job`, and the number of the thing asked of
the folder at which the process is killed; -1: it is not. Each is done in a fork, since
importing TensorFlow takes longer than the job. Answers with a line: the exit status of
the fork, and how much was asked of the folder.
"""

import os
import pickle
import sys
from pathlib import Path


def main():
    """Serves."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from faults import Faults, kill

    from tf_style.jobs import run

    folder = sys.argv[1]
    for line in sys.stdin:
        path, number = line.split()
        count = Path(folder, "..", "count")
        child = os.fork()
        if not child:
            faults = Faults(folder)
            with faults.watching(int(number), kill):
                for _ in run.run(pickle.loads(Path(path).read_bytes())):
                    pass
            count.write_text(str(len(faults.asked)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        asked = count.read_text() if not status else 0
        print(os.waitstatus_to_exitcode(status), asked, flush=True)


if __name__ == "__main__":
    main()
