"""The command `kubeflow compile`, from the user's options to an exit code."""

import pathlib
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipeline import engines
from pipeline.conclusion import WRONG_CALL
from pipeline.options import model_names
from pipeline.wrong_call import WrongCall


def compile_to_file(
    models: str | None,
    image: str,
    gpus: int,
    gpus_per_trainer: int | None,
    gpu_type: str,
    node_beam_args: tuple[str, ...],
    output: pathlib.Path,
    **named: Any,
) -> int:
    """Compiles and writes; returns the exit code.

    Args:
      named: fields of `CompileOptions` that have an option of their own.
    """
    console = Console()
    try:
        names = model_names(models)
        per_node = engines.node_arguments(node_beam_args)
        from pipeline.kubeflow import compile as compiler
        from pipeline.kubeflow.resources import Gpus

        options = compiler.CompileOptions(
            models=names,
            image=image or compiler.default_image(),
            gpus=Gpus(gpu_type, gpus, gpus_per_trainer),
            node_beam_args=per_node,
            **named,
        )
        compiler.write(*compiler.compile_pipeline(options), output)
    except (WrongCall, OSError, ValueError) as error:
        console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True, highlight=False)
        return WRONG_CALL
    words = f"{output}: {compiler.describe(options)}, {output.stat().st_size / 1000:.0f} kB"
    console.print(words, soft_wrap=True, markup=False, highlight=False)
    return 0
