"""Dataverse's native JSON of a data set, made and checked without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from a4nn_core.publish.deposit.metadata import DepositMetadata
from a4nn_core.publish.deposit.vocabulary import CITATION, FieldType
from a4nn_core.version import __version__

Document = dict[str, Any]
AGENCY = "A4NN deposit"  # of the identifier by which an upload finds its data set again


def dataverse_json(metadata: DepositMetadata, deposit_id: str, date: str) -> Document:
    """The document that creates the data set.

    Args:
        metadata: what the author states about the deposit.
        deposit_id: identifies the deposit among a server's data sets.
        date: when the last run ended, YYYY-MM-DD.
    """
    m = metadata
    values: dict[str, Any] = {
        "title": m.title,
        "otherId": [{"otherIdAgency": AGENCY, "otherIdValue": deposit_id}],
        "author": [
            {
                "authorName": a.name,
                "authorAffiliation": a.affiliation,
                "authorIdentifierScheme": "ORCID" if a.orcid else None,
                "authorIdentifier": a.orcid,
            }
            for a in m.authors
        ],
        "datasetContact": [
            {
                "datasetContactName": c.name,
                "datasetContactAffiliation": c.affiliation,
                "datasetContactEmail": c.email,
            }
            for c in m.contacts
        ],
        "dsDescription": [{"dsDescriptionValue": m.description}],
        "subject": m.subjects,
        "keyword": [{"keywordValue": k} for k in m.keywords],
        "publication": [
            {
                "publicationRelationType": p.relation,
                "publicationCitation": p.citation,
                "publicationIDType": "doi" if p.doi else None,
                "publicationIDNumber": p.doi,
                "publicationURL": p.url or (f"https://doi.org/{p.doi}" if p.doi else None),
            }
            for p in m.publications
        ],
        "notesText": m.notes,
        "productionDate": date,
        "grantNumber": [{"grantNumberAgency": g.agency, "grantNumberValue": g.number} for g in m.grants],
        "kindOfData": ["records of neural architecture searches", "neural network weights"],
        "software": [{"softwareName": "a4nn", "softwareVersion": __version__}],
        "relatedDatasets": m.related_datasets,
    }
    return {
        "datasetVersion": {
            "license": {"name": m.license_name, "uri": m.license_uri},
            "metadataBlocks": {
                "citation": {
                    "displayName": "Citation Metadata",
                    "fields": list(_fields(values, CITATION)),
                }
            },
        }
    }


def _fields(values: Mapping[str, Any], types: Mapping[str, FieldType]) -> Iterator[Document]:
    for name, value in values.items():
        kind = types[name]
        if value is None or value == []:
            continue
        if kind.kind == "compound":
            value = [{f["typeName"]: f for f in _fields(one, kind.children)} for one in value]
        yield {"typeName": name, "multiple": kind.multiple, "typeClass": kind.kind, "value": value}


def citation_fields(document: Document) -> dict[str, Any]:
    """The values of the citation block by name, compound ones as mappings."""
    fields = document["datasetVersion"]["metadataBlocks"]["citation"]["fields"]
    return {f["typeName"]: _field_value(f) for f in fields}


def _field_value(field: Document) -> Any:
    if field["typeClass"] != "compound":
        return field["value"]
    return [{name: child["value"] for name, child in one.items()} for one in field["value"]]


def check_dataverse_json(document: Any) -> list[str]:
    """What Dataverse would refuse in a document, one sentence per problem; empty if there is none.

    Checked are the structure, the five required fields and those required inside others, every field's type,
    whether it is a list, the controlled vocabularies, dates, and that a licence has a name and an address.
    """
    try:
        version = document["datasetVersion"]
        fields = version["metadataBlocks"]["citation"]["fields"]
    except (KeyError, TypeError):
        return ["there is no datasetVersion.metadataBlocks.citation.fields"]
    problems = []
    license_ = version.get("license")
    if license_ is not None and not (
        isinstance(license_, dict) and all(isinstance(license_.get(k), str) for k in ("name", "uri"))
    ):
        problems.append("license needs both name and uri")
    if not isinstance(fields, list):
        return [*problems, "citation.fields is not a list"]
    names = [f.get("typeName") if isinstance(f, dict) else None for f in fields]
    problems += [f"{name} is there twice" for name in sorted({str(n) for n in names if names.count(n) > 1})]
    problems += [f"{name} is missing" for name, t in CITATION.items() if t.required and name not in names]
    for field in fields:
        problems += _field_problems(field, CITATION, "")
    return problems


def _field_problems(field: Any, types: Mapping[str, FieldType], where: str) -> Iterator[str]:
    if not isinstance(field, dict) or set(field) != {"typeName", "multiple", "typeClass", "value"}:
        yield f"{where or 'citation'}: {field!r} is not a field with typeName, multiple, typeClass and value"
        return
    name = f"{where}{field['typeName']}"
    kind = types.get(field["typeName"])
    if kind is None:
        yield f"there is no field {name}"
        return
    if (field["typeClass"], field["multiple"]) != (kind.kind, kind.multiple):
        yield f"{name} must be {kind.kind}, multiple = {str(kind.multiple).lower()}"
        return
    values = field["value"] if kind.multiple else [field["value"]]
    if not isinstance(values, list) or (kind.multiple and not values):
        yield f"{name} needs a list with at least one value"
        return
    for value in values:
        if kind.kind == "compound":
            if not isinstance(value, dict):
                yield f"{name} holds {value!r}, not an object of fields"
                continue
            for key, child in value.items():
                if isinstance(child, dict) and child.get("typeName") != key:
                    yield f"{name}.{key} is named {child.get('typeName')!r} inside"
                yield from _field_problems(child, kind.children, f"{name}.")
            missing = [k for k, t in kind.children.items() if t.required and k not in value]
            yield from (f"{name}.{key} is missing" for key in missing)
        elif not isinstance(value, str) or not value.strip():
            yield f"{name} holds {value!r}, not a text"
        elif kind.words and value not in kind.words:
            yield f"{name} holds {value!r}, which is not in its vocabulary"
        elif field["typeName"].endswith("Date") and not re.fullmatch(r"\d{4}(-\d\d){0,2}", value):
            yield f"{name} holds {value!r}, not a date YYYY-MM-DD"
