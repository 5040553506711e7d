"""A group of commands that answers its bare name with its help."""

from __future__ import annotations

import click


class Group(click.Group):
    """Without arguments: the help. Newer clicks make an error of it, whose text is that help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's, after that answer."""
        if not args:
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        return super().parse_args(ctx, args)
