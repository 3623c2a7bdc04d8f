"""The pages there are, in the order of the menu; a new one is one file and one name here."""

from rankscope.app.pages import benchmarks, compare, new, run, runs, workers

PAGES = (runs.PAGE, new.PAGE, run.PAGE, compare.PAGE, benchmarks.PAGE, workers.PAGE)
