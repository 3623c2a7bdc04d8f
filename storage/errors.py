"""What storage refuses: each error is one line that says rule, value and remedy."""


class StorageError(RuntimeError):
    """Base of all; ``str(error)`` is fit to be shown to a person."""


class UnusableDatabaseError(StorageError):
    """The database cannot be reached, opened or written, or its address makes no sense."""


class NewerDatabaseError(StorageError):
    """The database was written by a newer Rankscope than this one."""


class UnusableRedisError(StorageError):
    """The address of Redis makes no sense."""


class UnknownRunError(StorageError):
    """No run, or more than one, answers to what was given."""


class UnknownEvaluationError(StorageError):
    """No evaluation, or more than one, answers to what was given."""


class OtherVersionError(StorageError):
    """A run's config was made by an incompatible version of Rankscope."""


class RunRefusedError(StorageError):
    """A run's present state does not allow what was asked."""


class FencedOutError(StorageError):
    """This attempt may no longer write: another one took the run over, or the run was closed."""


class WriteFailedError(StorageError):
    """Events could not be written and waiting would not help."""


class PathRefusedError(StorageError):
    """A path that leaves the run's folder."""


class AccountRefusedError(StorageError):
    """An account's name, password or existence does not fit what was asked."""


def no_such_run(run_id: str) -> UnknownRunError:
    """What to raise where no run has this id."""
    return UnknownRunError(f"a run's id must exist, got {run_id!r}; see them with: rankscope runs")


def no_such_evaluation(evaluation_id: str) -> UnknownEvaluationError:
    """What to raise where no evaluation has this id."""
    return UnknownEvaluationError(
        f"an evaluation's id must exist, got {evaluation_id!r}; see them with: rankscope evals"
    )
