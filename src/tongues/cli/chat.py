"""`tongues chat`: talk to the endpoint that runs on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.talk import Compared


def chat(
    lang: Annotated[
        str | None, typer.Option(help="Language to talk in (BCP-47); greets and asks in it.")
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
    from tongues.stages import talk

    place = open_workspace(workspace)
    if compare:
        _show_compared(talk.compare(place, lang=lang, question=question, max_tokens=max_tokens), as_json)
        return
    partner = talk.find_partner(place, url, model)
    if question is not None or as_json:
        asked = question if question is not None else typer.get_text_stream("stdin").readline().strip()
        answer = talk.ask_once(partner, asked, lang=lang, max_tokens=max_tokens)
        terminal.show(answer.as_dict(), as_json=as_json, human=lambda: typer.echo(answer.text))
        return
    _converse(partner, lang, max_tokens)


def _converse(partner: tuple[str, str], lang: str | None, max_tokens: int) -> None:
    from tongues.core.languages import language
    from tongues.stages import talk

    tongue = f" in {language(lang).name}" if lang else ""
    typer.echo(f"{partner[1]} at {partner[0]}{tongue}; an empty line ends the talk.")
    while asked := typer.prompt(">", default="", show_default=False, prompt_suffix=" "):
        talk.ask_once(
            partner, asked, lang=lang, max_tokens=max_tokens, on_text=lambda t: typer.echo(t, nl=False)
        )
        typer.echo()


def _show_compared(rows: "list[Compared]", as_json: bool) -> None:
    table = [(r.lang, r.question, r.base, r.tuned) for r in rows]
    columns = ("language", "question", "base", "tuned")
    terminal.show(
        {"answers": [r.as_dict() for r in rows]},
        as_json=as_json,
        human=lambda: terminal.table("The same question to both, over HTTP", columns, table, lines=True),
    )
