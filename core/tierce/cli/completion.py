"""`tierce completion SHELL`: the script that completes `tierce` on a shell's command line."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tierce.errors import UsageError

#: Set by the script when it asks for completions; click answers before any command runs.
VARIABLE = "_TIERCE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print the completion script of SHELL.

    \b
    bash   eval "$(tierce completion bash)"        in ~/.bashrc
    zsh    eval "$(tierce completion zsh)"         in ~/.zshrc
    fish   tierce completion fish | source         in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, f"click completes {shell}"
    program = context.find_root()
    try:
        click.echo(kind(program.command, {}, "tierce", VARIABLE).source())
    except RuntimeError as error:
        # click asks bash for its version; an old one, or none, can't run the script.
        raise UsageError(f"no completion for {shell}: {error}") from error
