"""`tow completion`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes


@click.command()
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def command(*, shell: str) -> int:
    """Print the completion script of a shell: commands, options, runs, steps, workflows.

    \b
      bash   eval "$(tow completion bash)"          in ~/.bashrc
      zsh    eval "$(tow completion zsh)"           in ~/.zshrc
      fish   tow completion fish > ~/.config/fish/completions/tow.fish
    """  # noqa: D301 - \b keeps click from filling the lines
    from click.shell_completion import get_completion_class

    from towpath.cli.group import PROGRAM, root

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(root, {}, PROGRAM, "_TOW_COMPLETE").source())
    return exit_codes.OK
