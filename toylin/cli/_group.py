"""A group of commands that answers its bare name with its help."""

from __future__ import annotations

import click

from toylin._internal.meant import meant


class Group(click.Group):
    """Without arguments: the help. Newer clicks make an error of it, whose text is that help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's, after that answer."""
        if not args:
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click's; a name that is none is told the one that was meant."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(f"no command {name!r}{self.meant(ctx, args)}")
        return super().resolve_command(ctx, args)

    def meant(self, ctx: click.Context, args: list[str]) -> str:
        """What may have been meant by words of which the first is no command."""
        return meant(args[0], self.list_commands(ctx))
