"""The command line: every action of the interface has its twin here."""

import sys
from collections.abc import Sequence

import typer

from rankscope.app.commands import (
    compare,
    control,
    data,
    demo,
    doctor,
    evals,
    evaluate,
    export,
    freeze,
    import_adalora,
    inspect,
    learn,
    migrate,
    plan,
    prepare,
    replay,
    run,
    submit,
    up,
    user,
    web,
    worker,
)
from rankscope.app.terminal import err
from rankscope.models.reading import ConfigError
from rankscope.storage.errors import StorageError
from rankscope.tasks.client import JobFailed

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


def build() -> typer.Typer:
    """The command line with all its commands."""
    cli = typer.Typer(
        name="rankscope",
        help=(
            "Launch, watch and compare rank-scheduled LoRA fine-tunings of vision-language models "
            "at one parameter budget."
        ),
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in (
        run.run,
        submit.submit,
        control.stop,
        control.resume,
        plan.plan,
        prepare.prepare,
        data.data,
        inspect.runs,
        inspect.show,
        inspect.logs,
        compare.compare,
        replay.replay,
        learn.learn,
        freeze.freeze,
        export.export,
        evals.evals,
        import_adalora.import_adalora,
        doctor.doctor,
        migrate.migrate,
        up.up,
        demo.demo,
        web.web,
        worker.worker,
    ):
        cli.command()(command)
    # a function called eval would hide Python's own
    cli.command("eval")(evaluate.evaluate)
    cli.add_typer(user.commands(), name="user")
    return cli


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; bad input ends with one line on stderr and exit code 2."""
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    command = typer.main.get_command(build())
    try:
        code = command.main(arguments or ["--help"], prog_name="rankscope", standalone_mode=False)
    except (ConfigError, StorageError) as error:
        return _refuse(str(error))
    except typer.TyperException as error:
        # Its str() leaves out which argument or option it is about.
        context = getattr(error, "ctx", None)
        asked = context.command_path if context else "rankscope"
        return _refuse(f"{error.format_message().rstrip('.')}; see: {asked} --help")
    except JobFailed as error:
        err.print(f"error: {error}", markup=False)
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return code if isinstance(code, int) else DONE


def _refuse(message: str) -> int:
    err.print(f"error: {' '.join(message.split())}", markup=False)
    return BAD_INPUT
