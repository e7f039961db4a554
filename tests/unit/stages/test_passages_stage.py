"""Native texts as a stage finds them: files, folders, digests, and what is missing said at once."""

import json

import pytest

from tongues.core.drops import Drop
from tongues.core.errors import DataError
from tongues.core.recipe import ReverseMethod, UltraLinkMethod
from tongues.data.language_id import RestrictedIdentifier
from tongues.methods.writing import no_passages
from tongues.stages.passages import passage_inputs, passage_problems, passages_of

TEXT = "El molino se construyó junto al río y durante años molió el trigo de tres aldeas. "


@pytest.fixture
def folder(tmp_path):
    for name, texts in {"b/x.jsonl": (TEXT, TEXT * 2), "a.txt": (TEXT * 3,)}.items():
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (
            texts
            if name.endswith("txt")
            else [json.dumps({"title": t[:9] + str(len(t)), "text": t}) for t in texts]
        )
        path.write_text("\n".join(lines), "utf-8")
    return tmp_path


def file_at(uri) -> dict[str, str]:
    return {"uri": str(uri), "lang": "es", "dataset": "tiny", "licence": "CC0-1.0"}


def ultralink(uri, **passages) -> UltraLinkMethod:
    limits = {"min_tokens": 1, "min_last_tokens": 1, "files": [file_at(uri)]} | passages
    return UltraLinkMethod.model_validate({"method": "ultralink", "dialogues": {"passages": limits}})


def test_a_folder_is_read_in_the_order_of_its_names_cut_or_whole(folder, workspace):
    identify = RestrictedIdentifier()
    section = ultralink(folder / "texts")
    cut = list(passages_of(section, workspace, identify)("es"))
    assert [one.text for one in cut] == [
        TEXT.strip() * 1 if n == 1 else (TEXT * n).strip() for n in (3, 1, 2)
    ]
    assert [one.source.row for one in cut] == ["a.txt:1", "x.jsonl:1", "x.jsonl:2"]
    reverse = ReverseMethod.model_validate({"method": "reverse", "passages": [file_at(folder / "texts")]})
    assert {one.text for one in passages_of(reverse, workspace, identify)("es")} == {one.text for one in cut}
    assert list(passages_of(section, workspace, identify)("ca")) == []
    assert passages_of(object(), workspace, identify) is no_passages


def test_words_in_a_list_rule_documents_out(folder, workspace):
    (folder / "words.txt").write_text("trigo de tres\n\n", "utf-8-sig")
    section = ultralink(folder / "texts" / "a.txt", blocked_words_uri=str(folder / "words.txt"))
    (drop,) = passages_of(section, workspace, RestrictedIdentifier())("es")
    assert isinstance(drop, Drop)
    assert (drop.reason, drop.detail) == ("blocked-word", "trigo de tres")
    (folder / "words.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        passages_of(section, workspace, RestrictedIdentifier())


def test_inputs_change_with_the_content_of_any_file_and_not_with_its_place(folder, workspace, tmp_path):
    before = passage_inputs([ultralink(folder / "texts")], workspace)
    (folder / "texts").rename(folder / "moved")
    assert passage_inputs([ultralink(folder / "moved")], workspace) == before
    (folder / "moved" / "a.txt").write_text("otra cosa", "utf-8")
    assert passage_inputs([ultralink(folder / "moved")], workspace) != before
    hub = ultralink("hf://wikimedia/wikipedia/20231101.es@main")
    assert len({str(passage_inputs([one], workspace)) for one in (hub, ultralink("hf://a/b@1"))}) == 2


def test_all_files_that_are_missing_are_named_and_the_hub_is_not_asked(folder):
    methods = [
        ultralink(folder / "texts", blocked_words_uri=str(folder / "none.txt")),
        ultralink(folder / "nowhere.jsonl"),
        ultralink("hf://wikimedia/wikipedia/20231101.es@main"),
        object(),
    ]
    assert passage_problems(methods) == [
        f"passages: no such file or folder: {folder / 'nowhere.jsonl'}",
        f"passages: no such file or folder: {folder / 'none.txt'}",
    ]
