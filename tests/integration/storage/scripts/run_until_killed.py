"""Record a step each 20 ms and print its number; never ends by itself."""

import itertools
import sys
import time

from rankscope.storage.database import open_database
from tests.integration.storage.examples import new_run, new_sink, step_done


def main(url: str) -> None:
    engine = open_database(url)
    run_id = new_run(engine)
    sink = new_sink(engine, run_id, flush_s=0.2)
    sys.stdout.write(f"{run_id}\n")
    for step in itertools.count(1):
        sink.emit(step_done(step))
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1])
