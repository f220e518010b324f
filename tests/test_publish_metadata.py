"""What a person says about a deposit, and the documents made of it."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from deposits import METADATA

from a4nn_core.errors import BadInput
from a4nn_core.publish.deposit.citation import citation_cff, codemeta, license_text
from a4nn_core.publish.deposit.dataverse_json import check_dataverse_json, citation_fields, dataverse_json
from a4nn_core.publish.deposit.metadata import (
    Author,
    Contact,
    DepositMetadata,
    Grant,
    Publication,
    example,
    make_metadata,
    read_metadata,
)
from a4nn_core.publish.deposit.vocabulary import LICENSES, SUBJECTS


def settings(**changes: Any) -> dict[str, Any]:
    return {**tomllib.loads(METADATA), **changes}


def document() -> dict[str, Any]:
    return dataverse_json(make_metadata(settings(), "m.toml"), "abc", "2026-01-02")


def test_the_metadata_of_the_published_deposit() -> None:
    # the page of doi:10.7910/DVN/JS9FR6, version 9
    fields = citation_fields(document())
    assert fields["title"] == (
        "Architecture Descriptions, Model Checkpoints, and Training Histories for A4NN Workflow on "
        "Protein Diffraction Data"
    )
    assert [a["authorName"] for a in fields["author"]] == [
        "Channing, Georgia",
        "Patel, Ria",
        "Taufer, Michela",
    ]
    assert fields["subject"] == ["Chemistry", "Computer and Information Science", "Physics"]
    assert [k["keywordValue"] for k in fields["keyword"]] == [
        *("Neural Architecture Search", "neural networks", "protein diffraction"),
        *("predictive modeling", "deep learning", "early termination"),
    ]
    assert fields["publication"][0]["publicationIDNumber"] == "10.1145/3605573.3605636"
    assert fields["publication"][0]["publicationIDType"] == "doi"


def test_the_document_has_dataverses_structure() -> None:
    made = document()
    assert check_dataverse_json(made) == []
    assert set(made) == {"datasetVersion"}
    version = made["datasetVersion"]
    assert version["license"] == {
        "name": "CC0 1.0",
        "uri": "http://creativecommons.org/publicdomain/zero/1.0",
    }
    title, *_ = fields = version["metadataBlocks"]["citation"]["fields"]
    assert title["multiple"] is False
    assert title["typeClass"] == "primitive"
    assert isinstance(title["value"], str)
    (author,) = [f for f in fields if f["typeName"] == "author"]
    assert author["value"][0]["authorName"] == {
        "typeName": "authorName",
        "multiple": False,
        "typeClass": "primitive",
        "value": "Channing, Georgia",
    }
    (subject,) = [f for f in fields if f["typeName"] == "subject"]
    assert (subject["typeClass"], subject["multiple"]) == ("controlledVocabulary", True)


def test_orcids_and_grants_arrive() -> None:
    made = make_metadata(
        settings(
            authors=[{"name": "Carberry, Josiah", "orcid": "0000-0002-1825-0097", "affiliation": "Brown"}],
            grants=[{"agency": "NSF", "number": "123"}],
        ),
        "m.toml",
    )
    fields = citation_fields(dataverse_json(made, "abc", "2026-01-02"))
    assert fields["author"] == [
        {
            "authorName": "Carberry, Josiah",
            "authorAffiliation": "Brown",
            "authorIdentifierScheme": "ORCID",
            "authorIdentifier": "https://orcid.org/0000-0002-1825-0097",
        }
    ]
    assert fields["grantNumber"] == [{"grantNumberAgency": "NSF", "grantNumberValue": "123"}]


def test_the_unedited_example_is_refused_place_by_place(tmp_path: Path) -> None:
    file = tmp_path / "deposit.toml"
    file.write_text(example(), encoding="utf-8")
    with pytest.raises(BadInput) as raised:
        read_metadata(file)
    left = "this is the example's place, to be filled in"
    assert str(raised.value).split("; ") == [
        f"{file} title = '<title of the deposit>': {left}",
        f"{file} description = '<what it is, for someone who has never heard of the work>': {left}",
        f"{file} [[authors]] 1 name = '<Family, Given>': {left}",
        f"{file} [[contacts]] 1 email = '<you@your.institution>': {left}",
    ]
    filled = re.sub(r'"<.*?>"', lambda found: '"a@b.org"' if "@" in found[0] else '"filled"', example())
    file.write_text(filled, encoding="utf-8")
    assert read_metadata(file).title == "filled"
    uncommented = re.sub(r"(?m)^# (?=\[\[|\w+ = )", "", filled)
    file.write_text(uncommented, encoding="utf-8")
    assert read_metadata(file).grants[0].number == "1234567"


def test_everything_wrong_is_named_at_once() -> None:
    bad = {
        "title": "",
        "subjects": ["Chemistry", "Alchemy"],
        "authors": [{"name": "A", "orcid": "0000-0002-1825-0098"}, {"nam": "B"}],
        "contacts": [{"email": "nobody"}],
        "keywords": ["x", "x"],
        "license": "CC-BY-3.0",
        "licence": "MIT",
        "publications": [{"citation": "P", "doi": "11.1/x", "relation": "Mentions"}],
    }
    with pytest.raises(BadInput) as caught:
        make_metadata(bad, "m.toml")
    for words in (
        "m.toml title = ''",
        "lacks the key 'description'",
        "[subjects] 1 = 'Alchemy': not in the vocabulary; known: Agricultural Sciences; ",
        "[[authors]] 1 orcid = '0000-0002-1825-0098': its check digit is wrong",
        "[[authors]] 2 lacks the key 'name'",
        "[[authors]] 2 has no key 'nam'; known keys: name, orcid, affiliation",
        "[[contacts]] 1 email = 'nobody': not an e-mail address",
        "keywords = ['x', 'x']: 'x' is there twice",
        "license = 'CC-BY-3.0': not in the vocabulary",
        "has no key 'licence'; known keys: title, description,",
        "[[publications]] 1 doi = '11.1/x'",
        "[[publications]] 1 relation = 'Mentions': not in the vocabulary",
    ):
        assert words in str(caught.value)


def test_files_that_are_no_metadata(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_metadata(path)
    path.write_text("title = ")
    with pytest.raises(BadInput, match="is not TOML"):
        read_metadata(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="not text in UTF-8"):
        read_metadata(path)


def find(made: dict[str, Any], name: str) -> dict[str, Any]:
    fields = made["datasetVersion"]["metadataBlocks"]["citation"]["fields"]
    found: dict[str, Any] = next(f for f in fields if f["typeName"] == name)
    return found


@pytest.mark.parametrize("name", ["title", "author", "datasetContact", "dsDescription", "subject"])
def test_required_fields_are_missed(name: str) -> None:
    made = document()
    made["datasetVersion"]["metadataBlocks"]["citation"]["fields"].remove(find(made, name))
    assert check_dataverse_json(made) == [f"{name} is missing"]


def test_what_dataverse_would_refuse_is_found() -> None:
    good = document()

    def broken(change: Any) -> list[str]:
        made = copy.deepcopy(good)
        change(made)
        return check_dataverse_json(made)

    assert broken(lambda d: find(d, "title").update(value=["a"])) == ["title holds ['a'], not a text"]
    assert broken(lambda d: find(d, "subject").update(value=["Alchemy"])) == [
        "subject holds 'Alchemy', which is not in its vocabulary"
    ]
    assert broken(lambda d: find(d, "subject").update(multiple=False)) == [
        "subject must be controlledVocabulary, multiple = true"
    ]
    assert broken(lambda d: find(d, "author")["value"][0].pop("authorName")) == [
        "author.authorName is missing"
    ]
    assert broken(lambda d: find(d, "author")["value"][0].update(authorName="X"))[0].startswith(
        "author.: 'X'"
    )
    assert broken(lambda d: find(d, "keyword").update(value=[])) == [
        "keyword needs a list with at least one value"
    ]
    assert broken(lambda d: find(d, "productionDate").update(value="today")) == [
        "productionDate holds 'today', not a date YYYY-MM-DD"
    ]
    assert broken(lambda d: find(d, "title").update(typeName="titel")) == [
        "title is missing",
        "there is no field titel",
    ]
    assert broken(lambda d: d["datasetVersion"]["license"].pop("uri")) == ["license needs both name and uri"]
    assert check_dataverse_json({}) == ["there is no datasetVersion.metadataBlocks.citation.fields"]


def test_the_guide_names_every_key_and_subject() -> None:
    text = (Path(__file__).resolve().parents[1] / "docs/publishing.md").read_text()
    for model in (DepositMetadata, Author, Contact, Grant, Publication):
        for name in model.model_fields:
            assert f"`{name}" in text or f"`[[{name}]]`" in text, name
    assert "; ".join(SUBJECTS) in text
    assert all(spdx in text for spdx in LICENSES)


def test_citation_files() -> None:
    metadata = make_metadata(settings(), "m.toml")
    cff = yaml.safe_load(citation_cff(metadata, "2026-01-02"))
    # required by the Citation File Format 1.2.0
    assert cff["cff-version"] == "1.2.0"
    assert "10.1145/3605573.3605636" in cff["message"]
    assert cff["title"] == metadata.title
    assert cff["authors"][0] == {"family-names": "Channing", "given-names": "Georgia"}
    assert cff["type"] == "dataset"
    assert cff["abstract"] == metadata.description
    assert codemeta(metadata)["@context"] == "https://doi.org/10.5063/schema/codemeta-2.0"
    assert "SPDX: CC0-1.0" in license_text(metadata)
