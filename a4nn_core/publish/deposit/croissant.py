"""Croissant 1.1: what a machine that learns from data sets needs to load the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from a4nn_core.commons.columns import Field, Kind
from a4nn_core.commons.schema import Table
from a4nn_core.publish.deposit.citation import schema_person
from a4nn_core.publish.deposit.files import DepositFile
from a4nn_core.publish.deposit.metadata import DepositMetadata

# as the specification gives it
_CONTEXT: dict[str, object] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "conformsTo": "dct:conformsTo",
    **{
        term: f"cr:{term}"
        for term in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject"),
            *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
            *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
            *("separator", "source", "subField", "transform"),
        )
    },
}
# what the reference implementation reads Parquet by
_FORMATS = {"application/vnd.apache.parquet": "application/x-parquet"}
_TYPES = {
    Kind.text: "sc:Text",
    Kind.json: "sc:Text",
    Kind.flag: "sc:Boolean",
    Kind.int32: "sc:Integer",
    Kind.int64: "sc:Integer",
    Kind.ints: "sc:Integer",
    Kind.float64: "sc:Float",
    Kind.float32: "sc:Float",
    Kind.time: "sc:DateTime",
}


def croissant(
    metadata: DepositMetadata,
    files: Sequence[DepositFile],
    tables: Mapping[str, Table],
    date: str,
    url: str,
) -> dict[str, object]:
    """The JSON-LD document.

    Args:
        metadata: what the author states about the deposit.
        files: the files of the deposit, with their descriptions.
        tables: the tables in ``data/<table>.parquet``; a column of names to values is left out,
            as Croissant has no type for it.
        date: when the data were made, YYYY-MM-DD.
        url: where the data set is, or will be.
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": metadata.title,
        "description": metadata.description,
        "license": metadata.license_uri,
        "url": url,
        "creator": [_creator(person) for person in map(schema_person, metadata.authors)],
        "datePublished": date,
        "dateCreated": date,
        "version": "1.0.0",
        "citeAs": _cite_as(metadata, date),
        **({"keywords": metadata.keywords} if metadata.keywords else {}),
        **({"prov:wasDerivedFrom": metadata.related_datasets} if metadata.related_datasets else {}),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file.path,
                "name": file.path,
                "description": file.description,
                "contentUrl": file.path,
                "contentSize": f"{file.bytes} B",
                "encodingFormat": _FORMATS.get(file.media_type, file.media_type),
                "sha256": file.sha256,
            }
            for file in files
        ],
        "recordSet": [_record_set(name, table) for name, table in tables.items()],
    }


def _cite_as(metadata: DepositMetadata, date: str) -> str:
    names = " and ".join("{" + author.name + "}" for author in metadata.authors)
    return f"@misc{{a4nn, author = {{{names}}}, title = {{{metadata.title}}}, year = {{{date[:4]}}}}}"


def _creator(person: dict[str, object]) -> dict[str, object]:
    return {**person, "@type": f"sc:{person['@type']}"}


def _record_set(name: str, table: Table) -> dict[str, object]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"A row is {table.row}.",
        "field": [_field(name, column) for column in table.columns if column.kind in _TYPES],
    }


def _field(table: str, column: Field) -> dict[str, object]:
    return {
        "@type": "cr:Field",
        "@id": f"{table}/{column.name}",
        "name": column.name,
        "description": column.meaning + (f" [{column.unit}]" if column.unit else ""),
        "dataType": _TYPES[column.kind],
        **({"repeated": True} if column.kind is Kind.ints else {}),
        "source": {
            "fileObject": {"@id": f"data/{table}.parquet"},
            "extract": {"column": column.name},
        },
    }
