"""`tongues chat`: talk to the endpoint that runs on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.talk import Compared, Talker


def chat(
    lang: Annotated[
        str | None,
        typer.Option(help="Language you talk in (BCP-47): an answer in another one is pointed out."),
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", "-q", help="Ask this one question and stop.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Ask base and tuned the same, one question per language.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Another OpenAI-compatible endpoint, up to and with /v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model name at that endpoint.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Length limit of an answer.", min=1)] = 64,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Talk to a served model; one question with -q, base against tuned with --compare."""
    from tongues.cli.opening import open_workspace
    from tongues.core.languages import language
    from tongues.stages import talk
    from tongues.stages.talk import Talker

    place = open_workspace(workspace)
    if compare:
        _show_compared(talk.compare(place, lang=lang, question=question, max_tokens=max_tokens), as_json)
        return
    if lang is not None:
        language(lang)
    talker = Talker(place, talk.find_partner(place, url, model), lang, max_tokens)
    if question is not None or as_json:
        asked = question if question is not None else typer.get_text_stream("stdin").readline().strip()
        said = talker.ask(asked)
        terminal.show(
            said.as_dict(), as_json=as_json, human=lambda: typer.echo(said.text + talker.remark(said))
        )
        return
    _converse(talker)


def _converse(talker: "Talker") -> None:
    typer.echo(f"{talker.partner[1]} at {talker.partner[0]}; an empty line ends the talk.")
    while asked := _read():
        said = talker.ask(asked, on_text=lambda text: typer.echo(text, nl=False))
        typer.echo(talker.remark(said))


def _read() -> str:
    """The next line; the end of the input ends the talk too."""
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def _show_compared(rows: "list[Compared]", as_json: bool) -> None:
    table = [(r.lang, r.question, r.base, r.tuned) for r in rows]
    columns = ("language", "question", "base", "tuned")
    terminal.show(
        {"answers": [r.as_dict() for r in rows]},
        as_json=as_json,
        human=lambda: terminal.table("The same question to both, over HTTP", columns, table, lines=True),
    )
