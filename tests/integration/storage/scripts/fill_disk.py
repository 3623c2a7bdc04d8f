"""Record steps in a folder until its disk is full; print the sink's failure and what is left."""

import resource
import sys

from rankscope.storage import history
from rankscope.storage.database import migrate, open_database
from rankscope.storage.errors import StorageError
from tests.integration.storage.examples import new_run, new_sink, step_done

MOST_STEPS = 200_000


def main(folder: str, largest_file_bytes: int | None) -> None:
    engine = open_database(f"sqlite:///{folder}/full.db")
    migrate(engine)
    run_id = new_run(engine)
    sink = new_sink(engine, run_id)
    sink.flush()
    if largest_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, resource.RLIM_INFINITY))
    try:
        for step in range(1, MOST_STEPS):
            sink.emit(step_done(step))
            if step % 200 == 0:
                sink.flush()
        sys.stdout.write("the disk was never full\n")
    except StorageError as error:
        sys.stdout.write(f"{error}\n")
    steps = history.metrics(engine, run_id)["step"].tolist()
    is_whole = len(steps) > 1000 and steps == list(range(1, len(steps) + 1))
    sys.stdout.write("readable\n" if is_whole else f"lost: {len(steps)} steps\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
