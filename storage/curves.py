"""A run's curves at the size of a screen: the database picks the steps that a plot would show."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, func, or_, select

from rankscope.storage.tables import Metric

MAX_POINTS = 2_000
"""About one per pixel."""
_PER_SPAN = 3
_COLUMNS = (Metric.step, Metric.loss, Metric.lr, Metric.grad_norm, Metric.step_s, Metric.time)


class Curves(NamedTuple):
    """Recorded steps, thinned; ``points`` has one list per column, NaN is None."""

    points: dict[str, list[float | None]]
    num_rows: int


def curves(connection: Connection, run_id: str) -> Curves:
    """Step, loss, lr, grad_norm, step_s and time of at most ``MAX_POINTS`` recorded steps.

    Of many steps, each of equally long spans keeps those of its smallest and largest loss and of
    its largest gradient norm, so that no spike is lost; the last step is always there.
    """
    of_run = Metric.run_id == run_id
    counted = select(func.count(), func.min(Metric.step), func.max(Metric.step)).where(of_run)
    num_rows, first, last = connection.execute(counted).one()
    if num_rows <= MAX_POINTS:
        rows = connection.execute(select(*_COLUMNS).where(of_run).order_by(Metric.step)).all()
        ordered = [tuple(row) for row in rows]
    else:
        span = -(-(last - first + 1) // ((MAX_POINTS - 1) // _PER_SPAN))
        chosen = _extremes(connection, run_id, span)
        final = connection.execute(select(*_COLUMNS).where(of_run, Metric.step == last)).one()
        ordered = [chosen[step] for step in sorted(chosen) if step != last] + [tuple(final)]
    columns = zip(*ordered, strict=True) if ordered else [()] * len(_COLUMNS)
    names = [column.key for column in _COLUMNS]
    return Curves({name: list(c) for name, c in zip(names, columns, strict=True)}, num_rows)


def _extremes(connection: Connection, run_id: str, span: int) -> dict[int, tuple[Any, ...]]:
    """Step -> row of every span's extremes; of equal ones the first."""
    of_run, number = Metric.run_id == run_id, Metric.step // span
    extremes = (
        select(
            number.label("number"),
            func.min(Metric.loss).label("low"),
            func.max(Metric.loss).label("high"),
            func.max(Metric.grad_norm).label("steepest"),
            func.min(Metric.grad_norm).label("flattest"),
            func.min(Metric.step).label("first"),
        )
        .where(of_run)
        .group_by(number)
        .cte("extremes")
    )
    of_span = extremes.c
    # where nothing varies every step is an extreme: one of them will do
    is_extreme = or_(
        and_(of_span.low < of_span.high, Metric.loss.in_((of_span.low, of_span.high))),
        and_(of_span.flattest < of_span.steepest, Metric.grad_norm == of_span.steepest),
        and_(of_span.low == of_span.high, Metric.step == of_span.first),
    )
    statement = (
        select(*_COLUMNS, *extremes.c)
        .join(extremes, number == extremes.c.number)
        .where(of_run, is_extreme)
        .order_by(Metric.step)
    )
    first: dict[tuple[int, str], Row[*tuple[Any, ...]]] = {}
    for row in connection.execute(statement).all():
        if row.loss == row.low:
            first.setdefault((row.number, "low"), row)
        if row.loss == row.high:
            first.setdefault((row.number, "high"), row)
        if row.grad_norm == row.steepest:
            first.setdefault((row.number, "steepest"), row)
    return {row.step: tuple(row[: len(_COLUMNS)]) for row in first.values()}
